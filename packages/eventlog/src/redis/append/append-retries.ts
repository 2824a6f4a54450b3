import { RedisUnavailableError } from '@tributary/redis'
import type { PendingAppend } from './pending-append.ts'

export interface AppendRetriesOptions<Answer> {
  readonly send: (pending: PendingAppend) => Promise<Answer>
  readonly onAnswered: (pending: PendingAppend, answer: Answer) => void
  /** Told of one that failed for good, or is not tried any more. */
  readonly onFailed: (pending: PendingAppend, error: unknown) => void
  /** Whether an error says that nothing can be sent for some time. */
  readonly isHopeless: (error: RedisUnavailableError) => boolean
  readonly isClosed: () => boolean
  readonly after: (delayMs: number, callback: () => void) => () => void
  readonly elapsed: () => number
  readonly retryMs: number
}

const FIRST_WAIT_MS = 25
const LAST_WAIT_MS = 400

/** Sends again what failed with its connection: one after another, and whoever comes meanwhile stands behind. */
export class AppendRetries<Answer> {
  readonly #options: AppendRetriesOptions<Answer>
  // In order; and what comes meanwhile.
  readonly #waiting: PendingAppend[] = []
  #isRunning = false

  constructor(options: AppendRetriesOptions<Answer>) {
    this.#options = options
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  /** One that was not sent, and comes behind all. */
  push(pending: PendingAppend): void {
    this.#waiting.push(pending)
  }

  /** One that failed. */
  add(pending: PendingAppend, error: RedisUnavailableError): void {
    if (pending.isGivenUp) return
    pending.again ||= !error.isUnsent
    const at = this.#waiting.findIndex(({ k }) => k > pending.k)
    if (at === -1) this.#waiting.push(pending)
    else this.#waiting.splice(at, 0, pending)
    if (!this.#isRunning) void this.#run(error)
  }

  /** Whether one of those was asked for before this. */
  hasBefore(k: number): boolean {
    return this.#waiting.some((pending) => pending.k < k)
  }

  /** One that is not to be sent any more. */
  drop(pending: PendingAppend): void {
    const at = this.#waiting.indexOf(pending)
    if (at >= 0) this.#waiting.splice(at, 1)
  }

  clear(): void {
    this.#waiting.length = 0
  }

  async #run(error: RedisUnavailableError): Promise<void> {
    const { send, isHopeless, isClosed, onAnswered, onFailed, elapsed, retryMs } = this.#options
    this.#isRunning = true
    const deadline = elapsed() + retryMs
    let waitMs = FIRST_WAIT_MS
    let last: unknown = error
    // What was never sent need not be waited for.
    while (this.#waiting.length > 0 && (elapsed() < deadline || last === undefined)) {
      if (last !== undefined) await this.#wait(waitMs)
      const [first] = this.#waiting
      if (first === undefined || isClosed()) break
      try {
        const answer = await send(first)
        this.#shift(first)
        onAnswered(first, answer)
        last = undefined
        waitMs = FIRST_WAIT_MS
      } catch (failure) {
        if (failure instanceof RedisUnavailableError) {
          first.again ||= !failure.isUnsent
          last = failure
          if (isHopeless(failure)) break
          waitMs = Math.min(2 * waitMs, LAST_WAIT_MS)
        } else {
          this.#shift(first)
          onFailed(first, failure)
        }
      }
    }
    this.#isRunning = false
    for (const pending of this.#waiting.splice(0)) onFailed(pending, last)
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.#options.after(ms, resolve))
  }

  #shift(pending: PendingAppend): void {
    if (this.#waiting[0] === pending) this.#waiting.shift()
  }
}
