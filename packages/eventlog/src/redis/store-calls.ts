import { randomBytes } from 'node:crypto'
import { type Clock, systemClock } from '@tributary/protocol'
import { type RedisClient, type RedisScript, RedisUnavailableError } from '@tributary/redis'
import { StoreUnavailableError } from '../log-error.ts'
import { type LogFields, logFields } from './log-fields.ts'
import { MAKE_AGAIN, OPEN, type Whereabouts } from './log-scripts.ts'
import type { LostLog } from './log-store.ts'
import type { RedisEventStoreOptions } from './redis-event-store-options.ts'
import type { LogKeys } from './redis-keys.ts'

type CallsOptions = Pick<RedisEventStoreOptions, 'connections' | 'clock'>

/** What a store asks Redis, until it is closed; its errors are those of a store. */
export class StoreCalls {
  /** The machine's, or that of a test. */
  readonly clock: Clock
  readonly #options: CallsOptions
  #isClosed = false

  constructor(options: CallsOptions) {
    this.#options = options
    this.clock = options.clock ?? systemClock
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Whatever is asked from here on is refused. */
  close(): void {
    this.#isClosed = true
  }

  /** The time in ms, as scripts take it: '' for the server's. */
  readonly time = (): string => {
    const { clock } = this.#options
    return clock === undefined ? '' : String(Math.trunc(clock.now()))
  }

  /** Runs a script that does no harm if it is run twice. @throws StoreUnavailableError */
  async again<T>(script: RedisScript<T>, keys: LogKeys, args: readonly (string | number)[]): Promise<T> {
    this.#refuse()
    try {
      return await this.#options.connections.run(script, keys.all, args, { again: true })
    } catch (error) {
      throw this.failure(error)
    }
  }

  /** Runs one once. @throws RedisUnavailableError */
  async once<T>(script: RedisScript<T>, keys: LogKeys, args: readonly (string | number)[]): Promise<T> {
    this.#refuse()
    return await this.#options.connections.run(script, keys.all, args)
  }

  /** Publishes a message once on each of these channels. @throws RedisUnavailableError */
  async publish(channels: readonly string[], message: string): Promise<void> {
    this.#refuse()
    const { connections } = this.#options
    const isSharded = connections.publishCommand === 'SPUBLISH'
    await connections.call((redis) =>
      Promise.all(
        channels.map((one) => (isSharded ? redis.spublish(one, message) : redis.publish(one, message))),
      ),
    )
  }

  /** Commands that do no harm if they are sent twice. @throws StoreUnavailableError */
  async ask<T>(work: (redis: RedisClient) => Promise<T>): Promise<T> {
    this.#refuse()
    try {
      return await this.#options.connections.call(work, { again: true })
    } catch (error) {
      throw this.failure(error)
    }
  }

  /** Makes a log where there is none. @param life of that. */
  make(keys: LogKeys, runId: string, attributes: Readonly<Record<string, string>>, life = randomId()) {
    return this.#open(keys, [life, this.time(), runId, '1', ...Object.entries(attributes).flat()])
  }

  /** Looks what has become of one that was not there, and makes it again where it is lost. */
  makeAgain(keys: LogKeys, { state, makes }: LostLog): Promise<Whereabouts> {
    const { life, zero, runId = '', attributes, attributesVersion } = state
    const made = [zero.ms, runId, Math.max(0, attributesVersion), ...[...attributes].flat()]
    return this.again(MAKE_AGAIN, keys, [life, makes ? '1' : '0', ...made])
  }

  /** `undefined` where there is no such log. */
  fields(keys: LogKeys): Promise<LogFields | undefined> {
    return this.#open(keys, ['', '', '', '0'])
  }

  /** What an error of Redis is answered as. */
  readonly failure = (error: unknown): unknown => {
    if (this.#isClosed) return closedError()
    return error instanceof RedisUnavailableError ? new StoreUnavailableError(error.reason, error) : error
  }

  /** Why nothing can be asked now; `undefined` where it can. */
  readonly unreachable = (): StoreUnavailableError | undefined => {
    if (this.#isClosed) return closedError()
    const { status } = this.#options.connections
    return status.state === 'up' ? undefined : new StoreUnavailableError(status.reason)
  }

  /** Whether it is not known that nothing can be stored now. */
  readonly takesWrites = (): boolean => {
    const { status } = this.#options.connections
    return !this.#isClosed && status.state === 'up' && status.refusesWrites === undefined
  }

  async #open(keys: LogKeys, args: readonly string[]): Promise<LogFields | undefined> {
    return logFields(await this.again(OPEN, keys, args))
  }

  #refuse(): void {
    if (this.#isClosed) throw closedError()
  }
}

export function closedError(): StoreUnavailableError {
  return new StoreUnavailableError('the store is closed')
}

export function randomId(): string {
  return randomBytes(9).toString('base64url')
}
