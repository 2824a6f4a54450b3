import {
  DEFAULT_PAGE_LIMIT,
  type EventLog,
  type EventStore,
  type ListOptions,
  type LogSummary,
  type OpenOptions,
  type StoreHealth,
} from '../event-log.ts'
import { InFlight } from '../in-flight.ts'
import { StoreUnavailableError } from '../log-error.ts'
import { MAX_EMPTY_TOPICS, TRIM_MEMORY_MS } from '../log-window.ts'
import { openOnce } from '../open-once.ts'
import { LogSubscriptions } from './follow/log-subscriptions.ts'
import { SyncTurns } from './follow/sync-turns.ts'
import { summaryOf } from './log-fields.ts'
import { DROP, TRIM } from './log-scripts.ts'
import type { LogStore, StoredLog } from './log-store.ts'
import { openedFields } from './opened-fields.ts'
import { RedisEventLog } from './redis-event-log.ts'
import {
  DEFAULT_RETRY_MS,
  DEFAULT_SYNC_INTERVAL_MS,
  DEFAULT_SYNCS_MAX_PER_S,
  DEFAULT_TAIL_MAX_BYTES,
  DEFAULT_TAIL_MAX_EVENTS,
  DEFAULT_TRIM_INTERVAL_MS,
  type RedisEventStoreOptions,
} from './redis-event-store-options.ts'
import { RedisKeys } from './redis-keys.ts'
import { closedError, randomId, StoreCalls } from './store-calls.ts'

/** Logs that have ended and are in memory all the same, as their readers are about to read the end. */
const ENDED_LOGS = 32
/** Entries and topics that one call trims at most, so that nobody waits long for it. */
const TRIM_SLICE = 500
/** How often it is tried to store what waits when the store is closed, in ms. */
const LAST_LOOK_MS = 50
/** Logs that are trimmed at a time. */
const TRIM_AT_ONCE = 8

/** Logs in Redis, for any number of processes at a time. */
export class RedisEventStore implements EventStore {
  readonly durable = true
  readonly #options: RedisEventStoreOptions
  readonly #keys: RedisKeys
  readonly #calls: StoreCalls
  readonly #logStore: LogStore
  readonly #turns: SyncTurns<RedisEventLog>
  readonly #subscriptions: LogSubscriptions
  readonly #logs = new Map<string, RedisEventLog>()
  readonly #opening = new InFlight<RedisEventLog>()
  readonly #dropping = new InFlight<void>()
  readonly #ended = new Set<StoredLog>()
  readonly #ends: (() => void)[]

  constructor(options: RedisEventStoreOptions) {
    const { connections, prefix } = options
    const { syncIntervalMs = DEFAULT_SYNC_INTERVAL_MS, trimIntervalMs = DEFAULT_TRIM_INTERVAL_MS } = options
    const { syncsMaxPerS = DEFAULT_SYNCS_MAX_PER_S } = options
    this.#options = options
    this.#keys = new RedisKeys(prefix)
    this.#calls = new StoreCalls(options)
    this.#subscriptions = new LogSubscriptions(connections.subscriptions)
    this.#logStore = this.#sharedByLogs()
    const { clock } = this.#calls
    const elapsed = () => clock.elapsed()
    this.#turns = new SyncTurns({ intervalMs: syncIntervalMs, maxPerS: syncsMaxPerS, elapsed })
    this.#ends = [
      clock.every(this.#turns.everyMs, () => this.#turns.next()),
      clock.every(trimIntervalMs, () => void this.trim()),
      connections.onUp(() => this.#onUp()),
    ]
  }

  get health(): StoreHealth {
    const { status } = this.#options.connections
    const waiting = this.#waiting
    const kept = waiting === 0 ? '' : `; ${waiting} events wait here to be stored`
    if (status.state === 'down')
      return { status: 'degraded', reason: `Redis is away: ${status.reason}${kept}` }
    if (status.refusesWrites !== undefined)
      return { status: 'degraded', reason: `Redis refuses writes: ${status.refusesWrites}${kept}` }
    if (waiting === 0) return { status: 'ok' }
    // Full to the brim it takes what is small.
    const [refusal] = [...this.#logs.values()].flatMap((log) => log.bufferedRefusal ?? [])
    const why = refusal === undefined ? 'Redis is back' : `Redis does not take what waits: ${refusal}`
    return { status: 'degraded', reason: `${why}${kept}` }
  }

  async open(name: string, options: OpenOptions): Promise<EventLog> {
    // A log that is being dropped is still there, should that fail.
    await this.#dropping.settled(name)
    const known = this.#logs.get(name)
    if (known !== undefined && !known.isDropped) return known
    return await openOnce(this.#opening, name, options, () => this.#open(name, options))
  }

  drop(name: string): Promise<void> {
    return this.#dropping.run(name, () => this.#drop(name))
  }

  async trim(): Promise<void> {
    const { clock, unreachable } = this.#calls
    const names = [...this.#logs.keys()]
    for (const log of this.#logs.values()) log.trim(clock.now())
    const next = async () => {
      for (let name = names.pop(); name !== undefined; name = names.pop()) {
        // What is too old where Redis is away is so the next time, too.
        if (unreachable() !== undefined) return
        await this.#trim(name).catch((error: unknown) => this.#onTrimError(error))
      }
    }
    await Promise.all(Array.from({ length: TRIM_AT_ONCE }, next))
  }

  async find(name: string): Promise<LogSummary | undefined> {
    const { logs } = this.#keys
    const fields = await this.#calls.fields(this.#keys.log(name))
    if (fields === undefined) return undefined
    // In a Cluster names are another server's to keep, and a failover of that may have lost one.
    await this.#calls
      .ask(async (redis) => (await redis.zscore(logs, name)) ?? redis.zadd(logs, 0, name))
      .catch(() => undefined)
    return summaryOf(name, fields)
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
    const names = await this.#calls.ask((redis) =>
      redis.zrangebylex(logs, prefix === '' && after === '' ? '-' : min, max, 'LIMIT', 0, limit),
    )
    const found = await Promise.all(
      names.map(async (name) => {
        const fields = await this.#calls.fields(this.#keys.log(name))
        return fields === undefined ? [] : [summaryOf(name, fields)]
      }),
    )
    return found.flat()
  }

  async close(): Promise<void> {
    if (this.#calls.isClosed) return
    await this.#settled()
    this.#calls.close()
    for (const end of this.#ends) end()
    for (const log of this.#logs.values()) log.end(closedError())
    this.#subscriptions.close()
    this.#turns.clear()
    this.#logs.clear()
    this.#ended.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Events that wait for a Redis that is away. */
  get #waiting(): number {
    return [...this.#logs.values()].reduce((sum, log) => sum + log.bufferedCount, 0)
  }

  /** What was on its way is there when the store is closed, and what waits for Redis, where that is back in time. */
  async #settled(): Promise<void> {
    const { lastWaitMs = 0, onUnstored } = this.#options
    const { clock } = this.#calls
    const settle = () => Promise.all([...this.#logs.values()].map((log) => log.settled()))
    await settle()
    if (this.#waiting === 0) return
    onUnstored?.(this.#waiting, false)
    for (const untilMs = clock.elapsed() + lastWaitMs; this.#waiting > 0 && clock.elapsed() < untilMs; ) {
      await new Promise<void>((resolve) => clock.after(LAST_LOOK_MS, resolve))
      await settle()
    }
    if (this.#waiting > 0) onUnstored?.(this.#waiting, true)
  }

  async #open(name: string, options: OpenOptions): Promise<RedisEventLog> {
    const keys = this.#keys.log(name)
    const known = this.#logs.get(name)
    // One that was dropped is not made by who had it; where it was lost, and is there again, it is another's to tell.
    if (known?.isDropped && (await this.#calls.fields(keys)) === undefined) return known
    if (!options.mustExist) await this.#note(name)
    const fields = await openedFields(name, keys, options, this.#calls)
    if (fields.head.n > 0) await this.#trim(name)
    const log = new RedisEventLog(name, keys, fields, options, this.#logStore)
    this.#logs.set(name, log)
    this.#turns.add(log)
    if (fields.closed) this.#onClosed(log)
    return log
  }

  async #note(name: string): Promise<void> {
    await this.#calls.ask((redis) => redis.zadd(this.#keys.logs, 0, name))
  }

  async #drop(name: string): Promise<void> {
    const { connections } = this.#options
    await this.#opening.settled(name)
    const keys = this.#keys.log(name)
    const log = this.#logs.get(name)
    await this.#calls.again(DROP, keys, [connections.publishCommand, keys.whole])
    log?.drop()
    if (log !== undefined) this.#forget(log)
    await this.#calls.ask((redis) => redis.zrem(this.#keys.logs, name))
  }

  async #trim(name: string): Promise<void> {
    const keys = this.#keys.log(name)
    const args = [this.#calls.time(), TRIM_MEMORY_MS, MAX_EMPTY_TOPICS, TRIM_SLICE]
    while ((await this.#calls.again(TRIM, keys, args)) === 1);
  }

  #onTrimError(error: unknown): void {
    if (!(error instanceof StoreUnavailableError)) this.#options.onError?.(error)
  }

  #sharedByLogs(): LogStore {
    const { connections, onStored, onError = () => undefined } = this.#options
    const { retryMs = DEFAULT_RETRY_MS, outage } = this.#options
    const { tailMaxEvents = DEFAULT_TAIL_MAX_EVENTS, tailMaxBytes = DEFAULT_TAIL_MAX_BYTES } = this.#options
    const calls = this.#calls
    const { clock, time, failure, unreachable, takesWrites } = calls
    return {
      node: randomId(),
      publish: connections.publishCommand,
      clock: time,
      now: () => clock.now(),
      elapsed: () => clock.elapsed(),
      after: (delayMs, callback) => clock.after(delayMs, callback),
      retryMs,
      outage,
      tailMaxEvents,
      tailMaxBytes,
      ask: (script, keys, args) => calls.again(script, keys, args),
      run: (script, keys, args) => calls.once(script, keys, args),
      tell: (channels, message) => calls.publish(channels, message),
      reload: (keys, makes) => (makes ? calls.make(keys, '', {}) : calls.fields(keys)),
      makeAgain: async (name, keys, lost) => {
        const whereabouts = await calls.makeAgain(keys, lost)
        if (lost.makes && whereabouts === 'there') await this.#note(name)
        return whereabouts
      },
      failure,
      unreachable,
      takesWrites,
      cuts: () => connections.cuts,
      subscriptions: (log, keys, listener) => this.#subscriptions.of(log, keys, listener),
      onStored,
      onError,
      onMoved: (log) => this.#onMoved(log),
      onClosed: (log) => this.#onClosed(log),
    }
  }

  /** It may be another server. What waits is stored at once; the others come in their turn, those that have missed something by themselves. */
  #onUp(): void {
    for (const log of this.#logs.values()) {
      log.doubt()
      if (log.bufferedCount > 0) log.sync()
    }
    this.#turns.hasten()
  }

  #onMoved(log: StoredLog): void {
    const known = this.#logs.get(log.name)
    if (known === log) this.#turns.moved(known)
  }

  /** Keeps the newest few of those that have ended, and those whose end a failover may still lose. */
  #onClosed(log: StoredLog): void {
    this.#ended.add(log)
    for (const oldest of this.#ended) {
      if (this.#ended.size <= ENDED_LOGS) return
      if (!oldest.keepsAnswered) this.#forget(oldest)
    }
  }

  #forget(log: StoredLog): void {
    this.#ended.delete(log)
    const known = this.#logs.get(log.name)
    if (known === undefined || known !== log) return
    this.#logs.delete(log.name)
    this.#turns.delete(known)
  }
}
