import type { StreamError } from './stream-error.ts'

/** The `error` of an EventSource, which says why; the native one does not. */
export class StreamErrorEvent extends Event {
  /** What went wrong, in words. */
  readonly message: string
  /** The answer's status, where it was not 200. */
  readonly status: number | undefined
  /** Absent where the server ended the stream. */
  readonly error: StreamError | undefined

  constructor(message: string, error?: StreamError) {
    super('error')
    this.message = message
    this.status = error?.status
    this.error = error
  }
}
