import { type Clock, newRunId } from '@tributary/protocol'
import type { RedisConnections } from '@tributary/redis'
import { PUT_BACK_MS } from '../redis/put-back.ts'
import type { RunQueueKeys } from './redis-keys.ts'
import { RELEASE_RUN, RENEW_RUNS, TAKE_RUN, UNREACHABLE_RUNS } from './run-queue-scripts.ts'

/** How often a node says that it lives within the time of its lease. */
const RENEWALS = 3
/** How long what no owner renews is kept, in ms: until then somebody takes it, or looks for it. */
const KEPT_MS = 3_600_000
const AGAIN = { again: true }

export interface RunOwnersOptions {
  readonly redis: RedisConnections
  readonly keys: RunQueueKeys
  readonly clock: Clock
  /** How long a node may say nothing before its runs go to others, in ms. */
  readonly leaseMs: number
}

/**
 * Which node has which run. It outlives the locks of BullMQ, which are gone after a time without Redis: who had a run
 * before has it after that, unless another took it meanwhile.
 */
export class RunOwners implements Disposable {
  readonly #options: RunOwnersOptions
  readonly #keys: string[]
  readonly #node = newRunId()
  readonly #own = new Map<string, AbortController>()
  readonly #ends: (() => void)[]
  #heardMs: number
  #renewedMs: number
  #patientUntilMs = Number.NEGATIVE_INFINITY

  constructor(options: RunOwnersOptions) {
    const { redis, keys, clock, leaseMs } = options
    this.#options = options
    this.#keys = [keys.owners, keys.owned]
    this.#heardMs = clock.elapsed()
    this.#renewedMs = clock.elapsed()
    const renew = () => void this.#renew().catch(() => undefined)
    this.#ends = [clock.every(leaseMs / RENEWALS, renew), redis.onUp(renew)]
  }

  /** Whether what this node has may be another's by now: it could not say for the time of its lease that it lives. */
  get mayBeReplaced(): boolean {
    const { clock, leaseMs } = this.#options
    return clock.elapsed() - this.#renewedMs >= leaseMs
  }

  has(runId: string): boolean {
    return this.#own.has(runId)
  }

  /** Answers 0 where the run is this node's now; else after how many ms to ask again. */
  async take(runId: string): Promise<number> {
    const { redis, leaseMs } = this.#options
    const args = [runId, this.#node, leaseMs]
    const waitMs = await redis.run(TAKE_RUN, this.#keys, [...args, Math.ceil(this.#patienceMs())], AGAIN)
    this.#hear()
    if (waitMs === 0) this.#own.set(runId, new AbortController())
    return waitMs
  }

  /** Aborted where another has a run that was taken here. */
  lost(runId: string): AbortSignal {
    return this.#own.get(runId)?.signal ?? AbortSignal.abort()
  }

  /** This node has done with it. */
  async release(runId: string): Promise<void> {
    this.#own.delete(runId)
    // Where that cannot be said, it is found when the time of the lease is over.
    await this.#options.redis.run(RELEASE_RUN, this.#keys, [runId, this.#node], AGAIN).catch(() => undefined)
  }

  /** Of which of these the owner is away. */
  async unreachable(runIds: readonly string[]): Promise<ReadonlySet<string>> {
    if (runIds.length === 0) return new Set()
    const { redis, keys } = this.#options
    return new Set(await redis.run(UNREACHABLE_RUNS, [keys.owned], runIds, AGAIN))
  }

  [Symbol.dispose](): void {
    for (const end of this.#ends) end()
  }

  async #renew(): Promise<void> {
    const { redis, clock, leaseMs } = this.#options
    const runIds = [...this.#own.keys()]
    const sentMs = clock.elapsed()
    const lost = await redis.run(RENEW_RUNS, this.#keys, [this.#node, leaseMs, KEPT_MS, ...runIds])
    this.#hear()
    for (const runId of lost) this.#own.get(runId)?.abort()
    this.#renewedMs = sentMs
  }

  /**
   * Where this node has not heard of Redis for long, others may not have either: they get the time of a lease to say that
   * they live. Where a failover lost the end of a run it seems to be left, until its owner has come to the new master, too.
   */
  #patienceMs(): number {
    const { redis, clock, leaseMs } = this.#options
    const now = clock.elapsed()
    if (now - this.#heardMs > (2 * leaseMs) / RENEWALS) this.#patientUntilMs = now + leaseMs
    return Math.max(0, this.#patientUntilMs - now, PUT_BACK_MS - redis.backForMs)
  }

  #hear(): void {
    this.#patienceMs()
    this.#heardMs = this.#options.clock.elapsed()
  }
}
