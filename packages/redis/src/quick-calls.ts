import { type Clock, systemClock } from '@tributary/protocol'
import type { RedisConnections } from './redis-connections.ts'
import { RedisReplyError, RedisUnavailableError } from './redis-error.ts'
import type { RedisScript } from './redis-script.ts'

/** Many times what an answer takes, and little to who waits behind it. */
const DEFAULT_LIMIT_MS = 250
/** How long nothing is asked after an answer that did not come, in ms. */
const PAUSE_MS = 1_000
const LATE = Symbol('late')

export interface QuickCallsOptions {
  readonly redis: Pick<RedisConnections, 'run' | 'status'>
  /** Default: the machine's. */
  readonly clock?: Pick<Clock, 'elapsed' | 'after'>
  /** How long is waited for an answer, in ms. Default 250. */
  readonly limitMs?: number
}

/**
 * Scripts that a request waits for and can go on without: where Redis is away, or does not answer in time, there is no
 * answer, and for a second nothing is asked. What had no answer may have been done all the same.
 */
export class QuickCalls {
  readonly #redis: QuickCallsOptions['redis']
  readonly #clock: Pick<Clock, 'elapsed' | 'after'>
  readonly #limitMs: number
  #fault: string | undefined
  #pausedUntil = 0

  constructor({ redis, clock = systemClock, limitMs = DEFAULT_LIMIT_MS }: QuickCallsOptions) {
    this.#redis = redis
    this.#clock = clock
    this.#limitMs = limitMs
  }

  /** Why Redis is not asked now; none where it answers. */
  get reason(): string | undefined {
    const { status } = this.#redis
    return status.state === 'down' ? status.reason : this.#fault
  }

  /** The script's answer; `undefined` where there is none. Only errors of our own code are thrown. */
  async run<T>(
    script: RedisScript<T>,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<T | undefined> {
    const now = this.#clock.elapsed()
    if (this.#redis.status.state === 'down' || now < this.#pausedUntil) return undefined
    // While it is not known to be well again one request in a while finds out, and the others go on without.
    if (this.#fault !== undefined) this.#pausedUntil = now + PAUSE_MS
    const late = Promise.withResolvers<typeof LATE>()
    // Where it is this process that was late, the answer has come, and is read before the next turn.
    const cancel = this.#clock.after(this.#limitMs, () => setImmediate(() => late.resolve(LATE)))
    try {
      const answer = await Promise.race([this.#redis.run(script, keys, args), late.promise])
      if (answer === LATE) return this.#fail(`it did not answer within ${this.#limitMs} ms`)
      this.#fault = undefined
      this.#pausedUntil = 0
      return answer
    } catch (error) {
      if (error instanceof RedisUnavailableError) return this.#fail(error.reason)
      if (error instanceof RedisReplyError) return this.#fail(error.message)
      throw error
    } finally {
      cancel()
    }
  }

  #fail(reason: string): undefined {
    this.#fault = reason
    this.#pausedUntil = this.#clock.elapsed() + PAUSE_MS
    return undefined
  }
}
