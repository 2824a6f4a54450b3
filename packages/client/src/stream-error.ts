import type { ErrorCategory, Fault, Recovery } from '@tributary/protocol'

/** Why a stream could not be read. */
export type StreamErrorReason =
  /** The answer's status is not 200. */
  | 'status'
  /** The answer is not `text/event-stream`. */
  | 'content_type'
  /** The connection failed, or broke. */
  | 'connection'
  /** An event is longer than the reader allows. */
  | 'event_too_large'
  /** Nothing came for longer than the server would be quiet. */
  | 'silent'

/** A stream that could not be opened, or broke. `cause` is what happened below. */
export class StreamError extends Error {
  override readonly name = 'StreamError'
  readonly code: StreamErrorReason
  /** What kind of fault it is: as the answer says, else as can be told from what happened. */
  readonly category: ErrorCategory
  /** What helps, told in the same way. A reader goes by `retryable`, and does not wait for it. */
  readonly recovery: Recovery
  readonly retryable: boolean
  /** The answer's status, where there was an answer. */
  readonly status: number | undefined
  /** What the answer said instead of a stream, as far as it was read. */
  readonly body: string | undefined
  /** Milliseconds, from the answer's `Retry-After`. */
  readonly retryAfterMs: number | undefined

  constructor(
    code: StreamErrorReason,
    message: string,
    options: ErrorOptions &
      Fault & {
        retryable: boolean
        status?: number
        body?: string | undefined
        retryAfterMs?: number | undefined
      },
  ) {
    super(message, options)
    this.code = code
    this.category = options.category
    this.recovery = options.recovery
    this.retryable = options.retryable
    this.status = options.status
    this.body = options.body
    this.retryAfterMs = options.retryAfterMs
  }
}
