import { type OnceKey, StoreUnavailableError } from '@tributary/eventlog'
import type { Clock } from '@tributary/protocol'
import { type CallOptions, type RedisConnections, RedisUnavailableError } from '@tributary/redis'
import { onceConflict } from '../once-runs.ts'
import type { IndexedRun, RunClaim } from '../run-index.ts'
import { askRedis } from './ask-redis.ts'
import { PUT_BACK_MS } from './put-back.ts'
import type { RunIndexKeys } from './redis-keys.ts'
import { ABANDON, ADD, CLAIM, RENEW_CLAIMS } from './run-index-scripts.ts'
import { formatTold, ordersOf } from './told-run.ts'

/** How long a run may be about to be accepted while its node says nothing, in ms, and how often it does. */
const CLAIM_MS = 15_000
export const RENEW_MS = 5_000
/** How often who waits for another node to accept a run looks, in ms. */
const LOOK_MS = 200
/** How long a claim is tried for, in ms, where Redis is away. */
const TRY_MS = 5_000
/** How many times that claims are renewed one that was accepted is remembered: a failover may lose that it was. */
const REMEMBERED_ROUNDS = 6

/** What is claimed by this node, until it is accepted or abandoned. */
interface OwnClaim {
  readonly once: OnceKey | undefined
  /**
   * What was added, kept for a while: where it cannot be held it is abandoned after all, and where a failover has left
   * the claim and lost that it was accepted, that is said again.
   */
  added?: IndexedRun
  rounds?: number
}

const AGAIN = { again: true }

export interface RedisRunClaimsOptions {
  readonly redis: RedisConnections
  readonly keys: RunIndexKeys
  readonly clock: Clock
}

/** What nodes are about to accept: a run is claimed, then added to the index, or abandoned. */
export class RedisRunClaims {
  readonly #redis: RedisConnections
  readonly #keys: RunIndexKeys
  readonly #clock: Clock
  readonly #own = new Map<string, OwnClaim>()

  constructor({ redis, keys, clock }: RedisRunClaimsOptions) {
    this.#redis = redis
    this.#keys = keys
    this.#clock = clock
  }

  async claim(runId: string, once?: OnceKey): Promise<RunClaim> {
    const [answer, theirs, accepted, preparedAs] = await askRedis(() => this.#claim(runId, once))
    if (answer === 'conflict') throw onceConflict(once?.key ?? '')
    // Asked again after an answer that was lost, it is ours still.
    if (answer === 'ours' || theirs === runId) {
      this.#own.set(runId, { once })
      return preparedAs === runId ? { kind: 'ours' } : { kind: 'ours', preparedAs }
    }
    return { kind: 'theirs', runId: theirs, accepted: this.#isAccepted(theirs, accepted === 1) }
  }

  async add(run: IndexedRun): Promise<void> {
    const claim = this.#own.get(run.runId)
    const added = await this.#add(run, claim?.once)
    if (added === 0) throw new StoreUnavailableError('the run took too long to be prepared; ask for it again')
    if (claim !== undefined) claim.added = run
  }

  async abandon(runId: string, preparedAs = ''): Promise<void> {
    const { claims, records, all, byUser, live } = this.#keys
    const { once, added } = this.#own.get(runId) ?? {}
    const orders = added && ordersOf(added)
    this.#own.delete(runId)
    await askRedis(() =>
      this.#redis.run(
        ABANDON,
        [claims, records, all, byUser, live, this.#onceKey(once)],
        [runId, orders?.all ?? '', orders?.byUser ?? '', preparedAs],
        AGAIN,
      ),
    )
  }

  /** Says that what is claimed is still about to be accepted; to be called each `RENEW_MS`. */
  async renew(): Promise<void> {
    const runIds: string[] = []
    for (const [runId, claim] of this.#own) {
      if (claim.added === undefined) runIds.push(runId)
      else if ((claim.rounds ?? 0) >= REMEMBERED_ROUNDS) this.#own.delete(runId)
      else claim.rounds = (claim.rounds ?? 0) + 1
    }
    if (runIds.length === 0) return
    // One that could not be renewed is by the next time; it is believed for as long.
    await this.#redis.run(RENEW_CLAIMS, [this.#keys.claims], [CLAIM_MS, ...runIds]).catch(() => undefined)
  }

  /**
   * Of what was accepted a moment ago a failover may have left the claim alone, and nobody would know the run. Answers those
   * of which it has not left even that.
   */
  async addAgain(): Promise<readonly IndexedRun[]> {
    const lost: IndexedRun[] = []
    for (const { once, added } of this.#own.values()) {
      if (added === undefined) continue
      // What cannot be said now is when Redis is back, or found by its log.
      if ((await this.#add(added, once).catch(() => 1)) === 0) lost.push(added)
    }
    return lost
  }

  /** Waits until another node has accepted a run, or has not. */
  async #isAccepted(runId: string, accepted: boolean): Promise<boolean> {
    const { records, claims } = this.#keys
    for (let known = accepted; !known; ) {
      // Before each look: who is told no claims it at once, and by another clock it may be believed still.
      await this.#after(LOOK_MS)
      const [isThere, until] = await askRedis(() =>
        this.#redis.call(
          (redis) => Promise.all([redis.hexists(records, runId), redis.zscore(claims, runId)]),
          AGAIN,
        ),
      )
      known = isThere === 1
      // A claim that its node does not renew goes with the next sweep, or is not believed by who asks next.
      if (!known && (until === null || Number(until) < this.#clock.now())) return false
    }
    return true
  }

  #add(run: IndexedRun, once: OnceKey | undefined): Promise<number> {
    const { claims, records, all, byUser, live } = this.#keys
    const orders = ordersOf(run)
    return askRedis(() =>
      this.#redis.run(
        ADD,
        [claims, records, all, byUser, live, this.#onceKey(once)],
        [run.runId, formatTold(run), orders.all, orders.byUser, once?.fingerprint ?? ''],
        AGAIN,
      ),
    )
  }

  /** Of a key it is asked behind what nodes put back, not at once where Redis is back. */
  async #claim(runId: string, once: OnceKey | undefined) {
    const { claims, dropping } = this.#keys
    const ask = (options: CallOptions) =>
      this.#redis.run(
        CLAIM,
        [claims, this.#onceKey(once), dropping],
        [runId, CLAIM_MS, once?.fingerprint ?? '', once?.windowMs ?? 0],
        options,
      )
    if (once === undefined) return ask(AGAIN)
    for (const untilMs = this.#clock.elapsed() + TRY_MS; ; ) {
      const now = this.#clock.elapsed()
      // Before it is told to be back commands may be taken already.
      const isUp = this.#redis.status.state === 'up'
      const waitMs = isUp ? PUT_BACK_MS - this.#redis.backForMs : LOOK_MS
      if (waitMs > 0 && (isUp || now <= untilMs)) {
        await this.#after(waitMs)
        continue
      }
      try {
        return await ask({ again: false })
      } catch (error) {
        if (!(error instanceof RedisUnavailableError) || this.#clock.elapsed() > untilMs) throw error
        await this.#after(LOOK_MS)
      }
    }
  }

  #after(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.after(ms, resolve))
  }

  #onceKey(once: OnceKey | undefined): string {
    return once === undefined ? this.#keys.claims : this.#keys.once(once.key)
  }
}
