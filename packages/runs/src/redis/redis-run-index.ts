import type { OnceKey } from '@tributary/eventlog'
import { type Clock, type RunStatus, systemClock } from '@tributary/protocol'
import type { RedisConnections } from '@tributary/redis'
import type {
  IndexedRun,
  NewestRunsQuery,
  RestoredRun,
  RunClaim,
  RunIndex,
  RunRetention,
} from '../run-index.ts'
import { endOf } from '../run-record.ts'
import type { StoredRun } from '../run-records.ts'
import { askRedis } from './ask-redis.ts'
import { PUT_BACK_MS } from './put-back.ts'
import { RecentEnds } from './recent-ends.ts'
import { type RunIndexKeys, runIndexKeys } from './redis-keys.ts'
import { RENEW_MS, RedisRunClaims } from './redis-run-claims.ts'
import { END, FORGET, RESTORE } from './run-index-scripts.ts'
import { formatTold, orderOf, ordersOf, parseTold, runIdOf, userOrder } from './told-run.ts'

const PAGE = 256
/** Runs that are gone and remembered to have been; past it the oldest are as if they had never been. */
const MAX_GONE = 100_000
/** The most runs that one call lets go of. */
const MAX_FORGOTTEN = 200
/** How long who is to drop logs has for it, in ms, until another is asked. */
const DROP_MS = 120_000
/** How long after its start the key of a run is remembered that was lost, in ms: for how long it was asked is lost, too. */
const RESTORED_KEY_MS = 86_400_000

/**
 * How often one of all nodes looks at what has ended, for how long after its end, in ms, and from when on: until then who
 * ended it puts the end back that a failover lost.
 */
const ENDED_LOOK_MS = 25_000
const ENDED_UNSURE_MS = 120_000
const ENDED_PUT_BACK_MS = 12_000
/** Ended runs that are looked at together; of more the oldest. */
const MAX_LOOKED = 5_000

export interface RedisRunIndexOptions {
  readonly redis: RedisConnections
  /** As `REDIS_PREFIX`. */
  readonly prefix: string
  /** One for each service. */
  readonly name: string
  /** Default: the machine's. */
  readonly clock?: Clock
}

const NO_COUNTS: ReadonlyMap<RunStatus, number> = new Map()
const AGAIN = { again: true }

/** The runs of all nodes of a service, in Redis. */
export class RedisRunIndex implements RunIndex, AsyncDisposable {
  readonly #redis: RedisConnections
  readonly #keys: RunIndexKeys
  readonly #clock: Clock
  readonly #claims: RedisRunClaims
  readonly #recentEnds = new RecentEnds()
  readonly #ends: readonly (() => void)[]

  constructor({ redis, prefix, name, clock = systemClock }: RedisRunIndexOptions) {
    this.#redis = redis
    this.#keys = runIndexKeys(prefix, name)
    this.#clock = clock
    this.#claims = new RedisRunClaims({ redis, keys: this.#keys, clock })
    this.#ends = [
      clock.every(RENEW_MS, () => {
        this.#recentEnds.age()
        void this.#claims.renew()
      }),
      // It may be another server.
      redis.onUp(() => void this.#sayAgain()),
    ]
  }

  counts(): ReadonlyMap<RunStatus, number> {
    return NO_COUNTS
  }

  claim(runId: string, once?: OnceKey): Promise<RunClaim> {
    return this.#claims.claim(runId, once)
  }

  add(run: IndexedRun): Promise<void> {
    return this.#claims.add(run)
  }

  abandon(runId: string, preparedAs?: string): Promise<void> {
    return this.#claims.abandon(runId, preparedAs)
  }

  async end(run: IndexedRun): Promise<void> {
    await this.#end(run)
    this.#recentEnds.add(run)
  }

  async #end(run: IndexedRun): Promise<void> {
    const { records, ended, live } = this.#keys
    await askRedis(() =>
      this.#redis.run(
        END,
        [records, ended, live],
        [run.runId, formatTold(run), Math.trunc(endOf(run.record))],
        AGAIN,
      ),
    )
  }

  async find(runId: string): Promise<IndexedRun | 'gone' | undefined> {
    const { records, gone } = this.#keys
    const [told, goneSince] = await askRedis(() =>
      this.#redis.call(
        (redis) => Promise.all([redis.hget(records, runId), redis.zscore(gone, runId)]),
        AGAIN,
      ),
    )
    if (told !== null) return parseTold(runId, told)
    return goneSince === null ? undefined : 'gone'
  }

  isUnsure(): boolean {
    return this.#redis.backForMs < PUT_BACK_MS
  }

  async restore(run: StoredRun, surelyGoesOn = false): Promise<RestoredRun> {
    const { records, all, byUser, live, ended, claims, gone, dropping } = this.#keys
    const { runId, record, closed } = run
    const { once, startedAt } = record
    const orders = ordersOf(run)
    const keyMs = Math.trunc(startedAt + RESTORED_KEY_MS - this.#clock.now())
    const isKeyed = once !== undefined && keyMs > 0
    return askRedis(() =>
      this.#redis.run(
        RESTORE,
        [
          ...[records, all, byUser, live, ended, claims, gone, dropping],
          isKeyed ? this.#keys.once(once.key) : claims,
        ],
        [
          ...[runId, formatTold(run), orders.all, orders.byUser],
          closed ? Math.trunc(endOf(record)) : '',
          isKeyed ? once.fingerprint : '',
          keyMs,
          surelyGoesOn ? '1' : '0',
        ],
        AGAIN,
      ),
    )
  }

  async justEnded(): Promise<readonly string[]> {
    const { looked, ended } = this.#keys
    const now = this.#clock.now()
    return askRedis(() =>
      this.#redis.call(async (redis) => {
        if ((await redis.set(looked, '1', 'PX', ENDED_LOOK_MS, 'NX')) === null) return []
        const [from, to] = [now - ENDED_UNSURE_MS, now - ENDED_PUT_BACK_MS]
        return redis.zrangebyscore(ended, from, to, 'LIMIT', 0, MAX_LOOKED)
      }),
    )
  }

  async *newest({ userId, after }: NewestRunsQuery): AsyncGenerator<readonly IndexedRun[]> {
    const { all, byUser } = this.#keys
    const key = userId === undefined ? all : byUser
    const from = userId === undefined ? '' : userOrder(userId)
    let before = after === undefined ? `${from}~` : from + orderOf(after)
    for (;;) {
      const orders = await askRedis(() =>
        this.#redis.call(
          (redis) => redis.zrange(key, `(${before}`, `[${from}`, 'BYLEX', 'REV', 'LIMIT', 0, PAGE),
          AGAIN,
        ),
      )
      const last = orders.at(-1)
      if (last === undefined) return
      before = last
      yield await this.#told(orders.map(runIdOf))
      if (orders.length < PAGE) return
    }
  }

  async unfinished(after: string, limit: number): Promise<readonly IndexedRun[]> {
    const { live } = this.#keys
    const runIds = await askRedis(() =>
      this.#redis.call(
        (redis) => redis.zrange(live, after === '' ? '-' : `(${after}`, '+', 'BYLEX', 'LIMIT', 0, limit),
        AGAIN,
      ),
    )
    return this.#told(runIds)
  }

  forget({ maxAgeMs, maxCount }: RunRetention): Promise<readonly string[]> {
    const { records, all, byUser, ended, claims, gone, dropping } = this.#keys
    return askRedis(() =>
      this.#redis.run(
        FORGET,
        [records, all, byUser, ended, claims, gone, dropping],
        [maxAgeMs, maxCount, MAX_GONE, DROP_MS, MAX_FORGOTTEN],
      ),
    )
  }

  async dropped(runIds: readonly string[]): Promise<void> {
    if (runIds.length === 0) return
    await askRedis(() => this.#redis.call((redis) => redis.zrem(this.#keys.dropping, ...runIds), AGAIN))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends) end()
  }

  /** What the index has of these; nothing of one that it has not, or cannot read. */
  async #told(runIds: readonly string[]): Promise<readonly IndexedRun[]> {
    if (runIds.length === 0) return []
    const { records } = this.#keys
    const told = await askRedis(() => this.#redis.call((redis) => redis.hmget(records, ...runIds), AGAIN))
    return runIds.flatMap((runId, n) => parseTold(runId, told[n] ?? '') ?? [])
  }

  /** Of what has ended a failover may have lost that, and its page would say for ever that it goes on. */
  async #sayAgain(): Promise<void> {
    for (const lost of await this.#claims.addAgain()) {
      const accepted = { ...lost, closed: false, lastEventId: undefined }
      await this.restore(accepted).catch(() => undefined)
    }
    // What cannot be said now is when Redis is back, or found by its log.
    for (const run of this.#recentEnds.all()) await this.#end(run).catch(() => undefined)
  }
}
