import type { Clock } from '@tributary/protocol'
import type { UserQuota } from '@tributary/quota'
import type { StreamLimits } from './stream-admission.ts'
import type { RevocationCheck } from './stream-credential.ts'
import type { StreamMeter } from './stream-meter.ts'

export const DEFAULT_HEARTBEAT_MS = 30_000
/** How long before the end of its credential a stream is told, unless said otherwise. */
export const DEFAULT_EXPIRY_WARNING_MS = 60_000

export interface StreamServerOptions extends StreamLimits {
  readonly clock: Clock
  /** Default 30,000. */
  readonly heartbeatMs?: number
  /** What a reader is told to wait before it comes back. Default 3,000. */
  readonly retryMs?: number
  /** Bytes that wait for a reader at most. Default 262,144. */
  readonly outboxMaxBytes?: number
  /** Events that wait for a reader at most. Default 4,096. */
  readonly outboxMaxEvents?: number
  /**
   * Frames that a stream sends in a second at most. What comes faster waits in its outbox; what is of low priority is
   * left out, and told. Default 0: any number.
   */
  readonly framesPerS?: number
  /** Polls that wait at a time. Default 20,000; one more is refused as `overloaded`. */
  readonly maxWaitingPolls?: number
  /**
   * How long before its credential ends a stream is told so, by `auth_expiring`, in ms; a tenth of the time that the
   * credential has when the stream gets it, where that is less. Default 60,000.
   */
  readonly expiryWarningMs?: number
  /** Whether a credential counts no more. Asked when a stream stands, and at `endRevoked`. Default: none is revoked. */
  readonly isRevoked?: RevocationCheck
  /** How many streams one reader may have, where whoever admits him names him. Default: any number. */
  readonly readers?: UserQuota
  /** Default: nothing is counted. */
  readonly meter?: StreamMeter
  /** 0 to 1. Default `Math.random`. */
  readonly random?: () => number
}
