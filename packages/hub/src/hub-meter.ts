import type { ErrorCode } from '@tributary/protocol'

/** Told of what happens at a hub, by whoever counts it. Nothing is told for a single delivery. */
export interface HubMeter {
  /** An event has been handed to the sockets of all who read it live, so long after its publishing began. */
  delivered(tookMs: number): void
  /** A connection was refused. */
  refused(code: ErrorCode): void
}

/** Counts nothing. */
export const NO_HUB_METER: HubMeter = { delivered: () => undefined, refused: () => undefined }
