import {
  type Append,
  type AppendOptions,
  type EventLog,
  type LogEntry,
  StoreUnavailableError,
} from '@tributary/eventlog'
import type { Clock } from '@tributary/protocol'

/** How long after a refusal of the store it is tried again. */
const RETRY_MS = 1_000
/** Appends that wait for the store at most; past it they fail, and with them their run. */
const MAX_WAITING = 10_000

interface Waiting {
  readonly batch: readonly Append[]
  readonly options: AppendOptions
  readonly resolve: (entries: readonly LogEntry[]) => void
  readonly reject: (error: unknown) => void
}

/**
 * Appends to a log in order, also over a time in which its store refuses, as on a full disk: what comes then waits
 * and is appended once the store is well. So work that is done is not lost for it.
 */
export class PatientLog {
  readonly #log: EventLog
  readonly #clock: Clock
  #waiting: Waiting[] = []
  #cancelRetry: (() => void) | undefined
  #closed = false

  constructor(log: EventLog, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** @throws as `EventLog.append`; StoreUnavailableError only where too many wait. */
  append(batch: readonly Append[], options: AppendOptions): Promise<readonly LogEntry[]> {
    if (this.#waiting.length > 0) return this.#wait(batch, options)
    return this.#log.append(batch, options).catch((error: unknown) => {
      if (this.#closed || !(error instanceof StoreUnavailableError)) throw error
      return this.#wait(batch, options)
    })
  }

  /** Gives up what waits, with this error. */
  close(error: unknown): void {
    this.#closed = true
    this.#cancelRetry?.()
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }

  #wait(batch: readonly Append[], options: AppendOptions): Promise<readonly LogEntry[]> {
    if (this.#waiting.length >= MAX_WAITING) {
      return Promise.reject(new StoreUnavailableError(`${MAX_WAITING} appends wait already`))
    }
    const { promise, resolve, reject } = Promise.withResolvers<readonly LogEntry[]>()
    this.#waiting.push({ batch, options, resolve, reject })
    this.#retryLater()
    return promise
  }

  #retryLater(): void {
    this.#cancelRetry ??= this.#clock.after(RETRY_MS, () => void this.#retry())
  }

  /** One after another, so that the order stands; whoever comes meanwhile waits behind them. */
  async #retry(): Promise<void> {
    for (let first = this.#waiting[0]; first !== undefined && !this.#closed; first = this.#waiting[0]) {
      try {
        first.resolve(await this.#log.append(first.batch, first.options))
      } catch (error) {
        if (error instanceof StoreUnavailableError) break
        first.reject(error)
      }
      this.#waiting.shift()
    }
    this.#cancelRetry = undefined
    if (this.#waiting.length > 0 && !this.#closed) this.#retryLater()
  }
}
