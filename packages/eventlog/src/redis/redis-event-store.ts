import { randomBytes } from 'node:crypto'
import { systemClock } from '@tributary/protocol'
import { type RedisClient, RedisReplyError, type RedisScript, RedisUnavailableError } from '@tributary/redis'
import {
  DEFAULT_PAGE_LIMIT,
  type EventLog,
  type EventStore,
  type ListOptions,
  type LogSummary,
  type OpenOptions,
  type StoreHealth,
} from '../event-log.ts'
import { StoreUnavailableError } from '../log-error.ts'
import { MAX_EMPTY_TOPICS, TRIM_MEMORY_MS } from '../log-window.ts'
import { type LogFields, logFields, summaryOf } from './log-fields.ts'
import { DROP, OPEN, TRIM } from './log-scripts.ts'
import { LogSubscriptions } from './log-subscriptions.ts'
import { type LogStore, RedisEventLog } from './redis-event-log.ts'
import {
  DEFAULT_RETRY_MS,
  DEFAULT_SYNC_INTERVAL_MS,
  DEFAULT_TAIL_MAX_BYTES,
  DEFAULT_TAIL_MAX_EVENTS,
  DEFAULT_TRIM_INTERVAL_MS,
  type RedisEventStoreOptions,
} from './redis-event-store-options.ts'
import { type LogKeys, RedisKeys } from './redis-keys.ts'

/** Logs that have ended and are in memory all the same, as their readers are about to read the end. */
const ENDED_LOGS = 32
/** Entries and topics that one call trims at most, so that nobody waits long for it. */
const TRIM_SLICE = 500
/** Logs that are trimmed at a time. */
const TRIM_AT_ONCE = 8

/** Logs in Redis, for any number of processes at a time. */
export class RedisEventStore implements EventStore {
  readonly durable = true
  readonly #options: RedisEventStoreOptions
  readonly #keys: RedisKeys
  readonly #logStore: LogStore
  readonly #subscriptions: LogSubscriptions
  readonly #logs = new Map<string, RedisEventLog>()
  readonly #opening = new Map<string, Promise<RedisEventLog>>()
  readonly #dropping = new Map<string, Promise<void>>()
  readonly #ended = new Set<RedisEventLog>()
  readonly #ends: (() => void)[]
  #closed = false

  constructor(options: RedisEventStoreOptions) {
    const { connections, prefix, clock = systemClock } = options
    this.#options = options
    this.#keys = new RedisKeys(prefix)
    this.#subscriptions = new LogSubscriptions(connections.subscriptions)
    this.#logStore = this.#sharedByLogs()
    const { syncIntervalMs = DEFAULT_SYNC_INTERVAL_MS, trimIntervalMs = DEFAULT_TRIM_INTERVAL_MS } = options
    this.#ends = [
      clock.every(syncIntervalMs, () => this.#sync()),
      clock.every(trimIntervalMs, () => void this.trim()),
      connections.onUp(() => this.#sync()),
    ]
  }

  get health(): StoreHealth {
    const { status } = this.#options.connections
    const waiting = [...this.#logs.values()].reduce((sum, log) => sum + log.bufferedCount, 0)
    const kept = waiting === 0 ? '' : `; ${waiting} events wait here to be stored`
    if (status.state === 'down')
      return { status: 'degraded', reason: `Redis is away: ${status.reason}${kept}` }
    return waiting === 0 ? { status: 'ok' } : { status: 'degraded', reason: `Redis is back${kept}` }
  }

  async open(name: string, options: OpenOptions): Promise<EventLog> {
    // A log that is being dropped is still there, should that fail.
    await this.#dropping.get(name)?.catch(() => undefined)
    const known = this.#logs.get(name)
    if (known !== undefined) return known
    let opening = this.#opening.get(name)
    if (opening === undefined) {
      opening = this.#open(name, options).finally(() => this.#opening.delete(name))
      this.#opening.set(name, opening)
    }
    return await opening
  }

  drop(name: string): Promise<void> {
    let dropping = this.#dropping.get(name)
    if (dropping === undefined) {
      dropping = this.#drop(name).finally(() => this.#dropping.delete(name))
      this.#dropping.set(name, dropping)
    }
    return dropping
  }

  async trim(): Promise<void> {
    const { clock = systemClock, onError } = this.#options
    const names = [...this.#logs.keys()]
    for (const log of this.#logs.values()) log.trim(clock.now())
    const next = async () => {
      for (let name = names.pop(); name !== undefined; name = names.pop()) {
        if (!this.#closed) await this.#trim(name).catch((error: unknown) => onError?.(error))
      }
    }
    await Promise.all(Array.from({ length: TRIM_AT_ONCE }, next))
  }

  async list({
    prefix = '',
    after = '',
    limit = DEFAULT_PAGE_LIMIT,
  }: ListOptions = {}): Promise<readonly LogSummary[]> {
    const { logs } = this.#keys
    const min = after < prefix ? `[${prefix}` : `(${after}`
    // No byte of UTF-8 is as high.
    const max = prefix === '' ? '+' : Buffer.concat([Buffer.from(`[${prefix}`), Buffer.from([0xff])])
    const names = await this.#ask((redis) =>
      redis.zrangebylex(logs, prefix === '' && after === '' ? '-' : min, max, 'LIMIT', 0, limit),
    )
    const found = await Promise.all(
      names.map(async (name) => {
        const fields = await this.#fields(this.#keys.log(name), [])
        return fields === undefined ? [] : [summaryOf(name, fields)]
      }),
    )
    return found.flat()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    await this.#settled()
    this.#closed = true
    for (const end of this.#ends) end()
    for (const log of this.#logs.values()) log.end(closedError())
    this.#subscriptions.close()
    this.#logs.clear()
    this.#ended.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** What was on its way is there when the store is closed. */
  async #settled(): Promise<void> {
    await Promise.all([...this.#logs.values()].map((log) => log.settled()))
  }

  async #open(name: string, options: OpenOptions): Promise<RedisEventLog> {
    const keys = this.#keys.log(name)
    await this.#ask((redis) => redis.zadd(this.#keys.logs, 0, name))
    const { runId = '', attributes = {} } = options
    const args = [randomId(), this.#logStore.clock(), runId, '1', ...Object.entries(attributes).flat()]
    const fields = await this.#fields(keys, args)
    if (fields === undefined) throw new RedisReplyError(`the log ${name} was not made`)
    if (fields.head.n > 0) await this.#trim(name)
    const log = new RedisEventLog(name, keys, fields, options, this.#logStore)
    this.#logs.set(name, log)
    if (fields.closed) this.#onClosed(log)
    return log
  }

  async #drop(name: string): Promise<void> {
    const { connections } = this.#options
    await this.#opening.get(name)?.catch(() => undefined)
    const keys = this.#keys.log(name)
    const log = this.#logs.get(name)
    await this.#run(DROP, keys, [connections.publishCommand, keys.whole])
    log?.drop()
    if (log !== undefined) this.#forget(log)
    await this.#ask((redis) => redis.zrem(this.#keys.logs, name))
  }

  async #trim(name: string): Promise<void> {
    const keys = this.#keys.log(name)
    const args = [this.#logStore.clock(), TRIM_MEMORY_MS, MAX_EMPTY_TOPICS, TRIM_SLICE]
    while ((await this.#run(TRIM, keys, args)) === 1);
  }

  /** @param args of the script `open`; none to open no log that is not there. */
  async #fields(keys: LogKeys, args: readonly string[]): Promise<LogFields | undefined> {
    return logFields(await this.#run(OPEN, keys, args.length === 0 ? ['', '', '', '0'] : args))
  }

  async #run<T>(script: RedisScript<T>, keys: LogKeys, args: readonly (string | number)[]): Promise<T> {
    if (this.#closed) throw closedError()
    try {
      return await this.#options.connections.run(script, keys.all, args, { again: true })
    } catch (error) {
      throw this.#failure(error)
    }
  }

  async #ask<T>(work: (redis: RedisClient) => Promise<T>): Promise<T> {
    if (this.#closed) throw closedError()
    try {
      return await this.#options.connections.call(work, { again: true })
    } catch (error) {
      throw this.#failure(error)
    }
  }

  #failure(error: unknown): unknown {
    if (this.#closed) return closedError()
    return error instanceof RedisUnavailableError ? new StoreUnavailableError(error.reason, error) : error
  }

  #sharedByLogs(): LogStore {
    const { connections, clock: given, onStored, onError = () => undefined } = this.#options
    const { retryMs = DEFAULT_RETRY_MS, outage } = this.#options
    const { tailMaxEvents = DEFAULT_TAIL_MAX_EVENTS, tailMaxBytes = DEFAULT_TAIL_MAX_BYTES } = this.#options
    const clock = given ?? systemClock
    return {
      node: randomId(),
      publish: connections.publishCommand,
      clock: () => (given === undefined ? '' : String(Math.trunc(given.now()))),
      now: () => clock.now(),
      elapsed: () => clock.elapsed(),
      after: (delayMs, callback) => clock.after(delayMs, callback),
      retryMs,
      outage,
      tailMaxEvents,
      tailMaxBytes,
      ask: (script, keys, args) => this.#run(script, keys, args),
      run: async (script, keys, args) => {
        if (this.#closed) throw closedError()
        return await connections.run(script, keys.all, args)
      },
      tell: async (channels, message) => {
        if (this.#closed) throw closedError()
        const isSharded = connections.publishCommand === 'SPUBLISH'
        await connections.call((redis) =>
          Promise.all(
            channels.map((one) => (isSharded ? redis.spublish(one, message) : redis.publish(one, message))),
          ),
        )
      },
      reload: (keys, makes) => this.#fields(keys, makes ? [randomId(), this.#logStore.clock(), '', '1'] : []),
      failure: (error) => this.#failure(error),
      unreachable: () => {
        if (this.#closed) return closedError()
        const { status } = connections
        return status.state === 'up' ? undefined : new StoreUnavailableError(status.reason)
      },
      subscriptions: (log, keys, listener) => this.#subscriptions.of(log, keys, listener),
      onStored,
      onError,
      onClosed: (log) => this.#onClosed(log),
    }
  }

  #sync(): void {
    for (const log of this.#logs.values()) log.sync()
  }

  /** Keeps the newest few of those that have ended. */
  #onClosed(log: RedisEventLog): void {
    this.#ended.add(log)
    for (const oldest of this.#ended) {
      if (this.#ended.size <= ENDED_LOGS) return
      this.#forget(oldest)
    }
  }

  #forget(log: RedisEventLog): void {
    this.#ended.delete(log)
    if (this.#logs.get(log.name) === log) this.#logs.delete(log.name)
  }
}

function closedError(): StoreUnavailableError {
  return new StoreUnavailableError('the store is closed')
}

function randomId(): string {
  return randomBytes(9).toString('base64url')
}
