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
  options: AppendOptions
  readonly resolve: (entries: readonly LogEntry[]) => void
  readonly reject: (error: unknown) => void
}

/**
 * Appends to a log in order, also over a time in which its store refuses, as on a full disk: what comes then waits
 * and is appended once the store is well. So work that is done is not lost for it. Who is about to do more work
 * should look at `stall` first, so that little has to wait.
 */
export class PatientLog {
  readonly #log: EventLog
  readonly #clock: Clock
  readonly #onRefused: (error: unknown) => void
  readonly #waiting: Waiting[] = []
  #stall: PromiseWithResolvers<void> | undefined
  #cancelRetry: (() => void) | undefined
  #given: { readonly up: unknown } | undefined
  /** The terminal event, where it may have been appended. */
  #unsettledEnd: string | undefined

  /** @param onRefused told of each append that the log refused for good, before who appended is. */
  constructor(log: EventLog, clock: Clock, onRefused: (error: unknown) => void = () => undefined) {
    this.#log = log
    this.#clock = clock
    this.#onRefused = onRefused
  }

  /** There while appends wait: resolves when none does any more. */
  get stall(): Promise<void> | undefined {
    return this.#stall?.promise
  }

  /** @throws as `EventLog.append`; StoreUnavailableError only where too many wait. */
  append(batch: readonly Append[], options: AppendOptions): Promise<readonly LogEntry[]> {
    if (this.#given !== undefined) return Promise.reject(this.#given.up)
    if (this.#waiting.length > 0) return this.#wait(batch, options)
    return this.#log.append(batch, options).catch((error: unknown) => {
      if (!(error instanceof StoreUnavailableError)) {
        this.#onRefused(error)
        throw error
      }
      if (this.#given !== undefined) throw this.#given.up
      return this.#wait(batch, triedAgain(options, error))
    })
  }

  /**
   * Appends the terminal event, which waits for nothing: whoever ends a run tries again.
   *
   * @throws as `EventLog.close`; StoreUnavailableError where something waits that must stand before it.
   */
  async close(terminal: Append, options: AppendOptions): Promise<void> {
    if (this.#given !== undefined) throw this.#given.up
    if (this.#waiting.length > 0) throw new StoreUnavailableError('earlier events wait')
    await this.#log.close(terminal, { ...options, again: this.#unsettledEnd }).catch((error: unknown) => {
      if (error instanceof StoreUnavailableError) this.#unsettledEnd = error.unsettled ?? this.#unsettledEnd
      else this.#onRefused(error)
      throw error
    })
  }

  /** Appends nothing from now on: what waits and what comes fails with this error. */
  giveUp(error: unknown): void {
    this.#given ??= { up: error }
    this.#cancelRetry?.()
    for (const { reject } of this.#waiting.splice(0)) reject(error)
    this.#unstall()
  }

  #wait(batch: readonly Append[], options: AppendOptions): Promise<readonly LogEntry[]> {
    if (this.#waiting.length >= MAX_WAITING) {
      return Promise.reject(new StoreUnavailableError(`${MAX_WAITING} appends wait already`))
    }
    const { promise, resolve, reject } = Promise.withResolvers<readonly LogEntry[]>()
    this.#waiting.push({ batch, options, resolve, reject })
    this.#stall ??= Promise.withResolvers()
    this.#retryLater()
    return promise
  }

  #retryLater(): void {
    this.#cancelRetry ??= this.#clock.after(RETRY_MS, () => void this.#retry())
  }

  /** One after another, so that the order stands; whoever comes meanwhile waits behind them. */
  async #retry(): Promise<void> {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      try {
        first.resolve(await this.#log.append(first.batch, first.options))
      } catch (error) {
        if (error instanceof StoreUnavailableError) {
          first.options = triedAgain(first.options, error)
          break
        }
        this.#onRefused(error)
        first.reject(error)
      }
      // Where it was given up meanwhile, this is none of those that wait any more.
      if (this.#waiting[0] === first) this.#waiting.shift()
    }
    this.#cancelRetry = undefined
    if (this.#waiting.length > 0) this.#retryLater()
    else this.#unstall()
  }

  #unstall(): void {
    this.#stall?.resolve()
    this.#stall = undefined
  }
}

/** One that may have been done is known by its name, so that it does not stand twice. */
function triedAgain(options: AppendOptions, { unsettled }: StoreUnavailableError): AppendOptions {
  return unsettled === undefined ? options : { ...options, again: unsettled }
}
