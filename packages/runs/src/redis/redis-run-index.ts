import { type OnceKey, StoreUnavailableError } from '@tributary/eventlog'
import { type Clock, type RunStatus, systemClock } from '@tributary/protocol'
import type { RedisConnections } from '@tributary/redis'
import { onceConflict } from '../once-runs.ts'
import type { IndexedRun, NewestRunsQuery, RunClaim, RunIndex, RunRetention } from '../run-index.ts'
import { endOf } from '../run-record.ts'
import type { StoredRun } from '../run-records.ts'
import { type RunIndexKeys, runIndexKeys } from './redis-keys.ts'
import {
  abandonScript,
  addScript,
  claimScript,
  endScript,
  forgetScript,
  renewClaimsScript,
  restoreScript,
} from './scripts.ts'
import { formatTold, orderOf, ordersOf, parseTold, type RunOrders, runIdOf, userOrder } from './told-run.ts'

const PAGE = 256
/** Runs that are gone and remembered to have been; past it the oldest are as if they had never been. */
const MAX_GONE = 100_000
/** The most runs that one call lets go of. */
const MAX_FORGOTTEN = 200
/** How long who is to drop logs has for it, in ms, until another is asked. */
const DROP_MS = 120_000
/** How long a run may be about to be accepted while its node says nothing, in ms, and how often it does. */
const CLAIM_MS = 15_000
const RENEW_MS = 5_000
/** How often who waits for another node to accept a run looks, in ms. */
const LOOK_MS = 200
/** How long after its start the key of a run is remembered that was lost, in ms: for how long it was asked is lost, too. */
const RESTORED_KEY_MS = 86_400_000

export interface RedisRunIndexOptions {
  readonly redis: RedisConnections
  /** As `REDIS_PREFIX`. */
  readonly prefix: string
  /** One for each service. */
  readonly name: string
  /** Default: the machine's. */
  readonly clock?: Clock
}

/** What is claimed by this node, until it is accepted or abandoned. */
interface OwnClaim {
  readonly once: OnceKey | undefined
  /** Kept for a while when it is accepted: where it cannot be queued it is abandoned after all. */
  added?: RunOrders
  isOld?: boolean
}

const NO_COUNTS: ReadonlyMap<RunStatus, number> = new Map()
const AGAIN = { again: true }

/** The runs of all nodes of a service, in Redis. */
export class RedisRunIndex implements RunIndex, AsyncDisposable {
  readonly #redis: RedisConnections
  readonly #keys: RunIndexKeys
  readonly #clock: Clock
  readonly #claims = new Map<string, OwnClaim>()
  readonly #stopRenewing: () => void

  constructor({ redis, prefix, name, clock = systemClock }: RedisRunIndexOptions) {
    this.#redis = redis
    this.#keys = runIndexKeys(prefix, name)
    this.#clock = clock
    this.#stopRenewing = clock.every(RENEW_MS, () => void this.#renewClaims())
  }

  counts(): ReadonlyMap<RunStatus, number> {
    return NO_COUNTS
  }

  async claim(runId: string, once?: OnceKey): Promise<RunClaim> {
    const { claims } = this.#keys
    const [answer, theirs, accepted] = await this.#ask(() =>
      this.#redis.run(
        claimScript,
        [claims, this.#onceKey(once)],
        [runId, CLAIM_MS, once?.fingerprint ?? '', once?.windowMs ?? 0],
        AGAIN,
      ),
    )
    if (answer === 'conflict') throw onceConflict(once?.key ?? '')
    // Asked again after an answer that was lost, it is ours still.
    if (answer === 'ours' || theirs === runId) {
      this.#claims.set(runId, { once })
      return { kind: 'ours' }
    }
    return { kind: 'theirs', runId: theirs, accepted: this.#isAccepted(theirs, accepted === 1) }
  }

  async add(run: IndexedRun): Promise<void> {
    const { claims, records, all, byUser, live } = this.#keys
    const { runId } = run
    const claim = this.#claims.get(runId)
    const orders = ordersOf(run)
    const once = claim?.once
    const added = await this.#ask(() =>
      this.#redis.run(
        addScript,
        [claims, records, all, byUser, live, this.#onceKey(once)],
        [runId, formatTold(run), orders.all, orders.byUser, once?.fingerprint ?? ''],
        AGAIN,
      ),
    )
    if (added === 0) throw new StoreUnavailableError('the run took too long to be prepared; ask for it again')
    if (claim !== undefined) claim.added = orders
  }

  async abandon(runId: string): Promise<void> {
    const { claims, records, all, byUser, live } = this.#keys
    const { once, added } = this.#claims.get(runId) ?? {}
    this.#claims.delete(runId)
    await this.#ask(() =>
      this.#redis.run(
        abandonScript,
        [claims, records, all, byUser, live, this.#onceKey(once)],
        [runId, added?.all ?? '', added?.byUser ?? '', once === undefined ? '0' : '1'],
        AGAIN,
      ),
    )
  }

  async end(run: IndexedRun): Promise<void> {
    const { records, ended, live } = this.#keys
    await this.#ask(() =>
      this.#redis.run(
        endScript,
        [records, ended, live],
        [run.runId, formatTold(run), Math.trunc(endOf(run.record))],
        AGAIN,
      ),
    )
  }

  async find(runId: string): Promise<IndexedRun | 'gone' | undefined> {
    const { records, gone } = this.#keys
    const [told, goneSince] = await this.#ask(() =>
      this.#redis.call(
        (redis) => Promise.all([redis.hget(records, runId), redis.zscore(gone, runId)]),
        AGAIN,
      ),
    )
    if (told !== null) return parseTold(runId, told)
    return goneSince === null ? undefined : 'gone'
  }

  async restore(run: StoredRun): Promise<boolean> {
    const { records, all, byUser, live, ended, claims, gone, dropping } = this.#keys
    const { runId, record, closed } = run
    const { once, startedAt } = record
    const orders = ordersOf(run)
    const keyMs = Math.trunc(startedAt + RESTORED_KEY_MS - this.#clock.now())
    const isKeyed = once !== undefined && keyMs > 0
    const restored = await this.#ask(() =>
      this.#redis.run(
        restoreScript,
        [
          ...[records, all, byUser, live, ended, claims, gone, dropping],
          isKeyed ? this.#keys.once(once.key) : claims,
        ],
        [
          ...[runId, formatTold(run), orders.all, orders.byUser],
          closed ? Math.trunc(endOf(record)) : '',
          isKeyed ? once.fingerprint : '',
          keyMs,
        ],
        AGAIN,
      ),
    )
    return restored === 1
  }

  async *newest({ userId, after }: NewestRunsQuery): AsyncGenerator<readonly IndexedRun[]> {
    const { all, byUser } = this.#keys
    const key = userId === undefined ? all : byUser
    const from = userId === undefined ? '' : userOrder(userId)
    let before = after === undefined ? `${from}~` : from + orderOf(after)
    for (;;) {
      const orders = await this.#ask(() =>
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
    const runIds = await this.#ask(() =>
      this.#redis.call(
        (redis) => redis.zrange(live, after === '' ? '-' : `(${after}`, '+', 'BYLEX', 'LIMIT', 0, limit),
        AGAIN,
      ),
    )
    return this.#told(runIds)
  }

  forget({ maxAgeMs, maxCount }: RunRetention): Promise<readonly string[]> {
    const { records, all, byUser, ended, claims, gone, dropping } = this.#keys
    return this.#ask(() =>
      this.#redis.run(
        forgetScript,
        [records, all, byUser, ended, claims, gone, dropping],
        [maxAgeMs, maxCount, MAX_GONE, DROP_MS, MAX_FORGOTTEN],
      ),
    )
  }

  async dropped(runIds: readonly string[]): Promise<void> {
    if (runIds.length === 0) return
    await this.#ask(() => this.#redis.call((redis) => redis.zrem(this.#keys.dropping, ...runIds), AGAIN))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopRenewing()
  }

  /** What the index has of these; nothing of one that it has not, or cannot read. */
  async #told(runIds: readonly string[]): Promise<readonly IndexedRun[]> {
    if (runIds.length === 0) return []
    const { records } = this.#keys
    const told = await this.#ask(() => this.#redis.call((redis) => redis.hmget(records, ...runIds), AGAIN))
    return runIds.flatMap((runId, n) => parseTold(runId, told[n] ?? '') ?? [])
  }

  /** Waits until another node has accepted a run, or has not. */
  async #isAccepted(runId: string, accepted: boolean): Promise<boolean> {
    const { records, claims } = this.#keys
    for (let known = accepted; !known; ) {
      const [isThere, until] = await this.#ask(() =>
        this.#redis.call(
          (redis) => Promise.all([redis.hexists(records, runId), redis.zscore(claims, runId)]),
          AGAIN,
        ),
      )
      known = isThere === 1
      // A claim that its node does not renew goes with the next sweep, or is not believed by who asks next.
      if (!known && (until === null || Number(until) < this.#clock.now() - CLAIM_MS)) return false
      if (!known) await new Promise<void>((resolve) => this.#clock.after(LOOK_MS, resolve))
    }
    return true
  }

  async #renewClaims(): Promise<void> {
    const runIds: string[] = []
    for (const [runId, claim] of this.#claims) {
      if (claim.added === undefined) runIds.push(runId)
      else if (claim.isOld) this.#claims.delete(runId)
      else claim.isOld = true
    }
    if (runIds.length === 0) return
    // One that could not be renewed is by the next time; it is believed for as long.
    await this.#redis
      .run(renewClaimsScript, [this.#keys.claims], [CLAIM_MS, ...runIds])
      .catch(() => undefined)
  }

  #onceKey(once: OnceKey | undefined): string {
    return once === undefined ? this.#keys.claims : this.#keys.once(once.key)
  }

  async #ask<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      throw new StoreUnavailableError('Redis cannot be asked about runs; try again in a moment', error)
    }
  }
}
