import { ProblemError } from '@tributary/protocol'

/** An append to a log that has ended. */
export class LogClosedError extends Error {
  override readonly name = 'LogClosedError'
  readonly code = 'log_closed'
  readonly retryable = false

  constructor(log: string) {
    super(`The log ${log} has ended; nothing can be appended to it`)
  }
}

/** A log that was to be opened and not to be made is not there. */
export class LogMissingError extends Error {
  override readonly name = 'LogMissingError'
  readonly code = 'log_missing'
  readonly retryable = false

  constructor(log: string) {
    super(`There is no log ${log}`)
  }
}

/** An append by an executor whose log has been taken over. */
export class StaleEpochError extends Error {
  override readonly name = 'StaleEpochError'
  readonly code = 'stale_epoch'
  readonly retryable = false

  constructor(log: string, epoch: number, current: number) {
    super(`The log ${log} was taken over: epoch ${epoch} is past, ${current} appends now`)
  }
}

/** The same key for something else. */
export class OnceConflictError extends Error {
  override readonly name = 'OnceConflictError'
  readonly code = 'once_conflict'
  readonly retryable = false

  constructor(log: string) {
    super(`The key was used for another append to the log ${log}`)
  }
}

/** When to try again what could not be stored, in seconds. */
const STORE_RETRY_AFTER_S = 5

/** What cannot be stored now, as on a full disk. Whoever asked is answered so; `cause` is what the engine said. */
export class StoreUnavailableError extends ProblemError {
  /** Why, for people, and what to do. */
  readonly reason: string
  /**
   * What an append is known by that may have been done, as no answer came: who tries it again says so with
   * `AppendOptions.again`, lest it be done twice. Absent where it was surely not done.
   */
  readonly unsettled: string | undefined

  constructor(reason: string, cause?: unknown, unsettled?: string) {
    super('store_unavailable', `Nothing can be stored now: ${reason}`, {
      retryAfterS: STORE_RETRY_AFTER_S,
      cause,
    })
    this.reason = reason
    this.unsettled = unsettled
  }
}
