import { StreamError } from '@tributary/client'
import { classifyError } from '@tributary/outbound'
import { type ErrorCode, ProblemError, type TaskErrorCode } from '@tributary/protocol'

/** An event of a source, under the standard names. */
export interface SourceEvent {
  readonly type: string
  readonly data: unknown
  /** What the source is resumed with behind this event; absent where it cannot be. */
  readonly cursor: string | undefined
}

/** How far a source has been read, by this process or an earlier one. */
export interface SourceProgress {
  /** Whether something was sent that must not be sent twice. */
  readonly begun: boolean
  /** Whether any event of it stands in our log. */
  readonly appended: boolean
  /** The cursor of the last that does. */
  readonly cursor: string | undefined
  /** Resolves once it is stored that it has begun. */
  noteBegun(): Promise<void>
}

export interface SourceReading {
  readonly signal: AbortSignal
  /** Where to go on. */
  readonly progress: SourceProgress
  /** Called when it is away and is waited for, with since when, in ms since 1970; without that when it is back. */
  readonly onAway: (since: number | undefined) => void
}

/** A stream that is read into a run. */
export interface Source {
  readonly name: string
  /** Whether reading can stop here and go on later. */
  readonly resumable: boolean
  /** Begins what has to be there before its run is accepted. Idempotent. @throws ProblemError */
  begin(): Promise<void>
  /**
   * The source's events, in its order, what came together together; the last is its `complete`, where it has one.
   *
   * @throws SourceError where it breaks; the signal's reason where it is aborted.
   */
  read(reading: SourceReading): AsyncGenerator<readonly SourceEvent[]>
  /** Stops the work behind it, where that was begun for this source alone. */
  cancel(): Promise<void>
}

/** A source that failed, in words and a code for its readers. */
export class SourceError extends Error {
  override readonly name = 'SourceError'
  readonly code: TaskErrorCode | ErrorCode

  constructor(code: TaskErrorCode | ErrorCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }

  static from(error: unknown): SourceError {
    if (error instanceof SourceError) return error
    if (error instanceof ProblemError) return new SourceError(error.code, error.message, error)
    if (error instanceof StreamError && error.code !== 'connection') {
      const code = error.code === 'event_too_large' ? 'event_too_large' : statusCode(error.status)
      return new SourceError(code, error.message, error)
    }
    const { code, message } = classifyError(error)
    return new SourceError(
      code,
      error instanceof StreamError && code === 'task_failed' ? error.message : message,
      error,
    )
  }
}

function statusCode(status: number | undefined): TaskErrorCode | ErrorCode {
  if (status === undefined || status < 400) return 'upstream_failed'
  return status < 500 ? 'http_4xx' : 'http_5xx'
}
