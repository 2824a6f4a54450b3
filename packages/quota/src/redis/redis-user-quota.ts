import type { Cluster } from '@tributary/cluster'
import type { Clock, ComponentHealth, ConsistencyFault } from '@tributary/protocol'
import { QuickCalls, type RedisConnections } from '@tributary/redis'
import { LocalUserQuota, leakedHolds, weightOf } from '../local-user-quota.ts'
import type { Hold, QuotaLimits, TakeAnswer, UserQuota } from '../user-quota.ts'
import { LivingNodes } from './living-nodes.ts'
import { quotaFaults } from './quota-faults.ts'
import { TAKE_HOLD } from './quota-scripts.ts'
import { QuotaKeys } from './redis-keys.ts'
import { SharedHolds } from './shared-holds.ts'
import { UnsaidHolds } from './unsaid-holds.ts'

/** How often is told what weighs otherwise by now, and what could not be told before, in ms. */
const TELL_MS = 1_000

export interface RedisUserQuotaOptions {
  readonly redis: RedisConnections
  /** `REDIS_PREFIX` */
  readonly prefix: string
  /** Whose nodes count together, and what: `gateway:runs`. */
  readonly name: string
  readonly cluster: Pick<Cluster, 'nodeId' | 'nodes' | 'onNodeGone' | 'onRejoined'>
  readonly limits: QuotaLimits
  readonly clock: Clock
}

/**
 * Counts over all nodes, in one round trip. What a node held is given back when its lease ends. While Redis is away
 * each node counts what it holds itself, and tells that when Redis is back.
 */
export class RedisUserQuota implements UserQuota, Disposable {
  readonly limits: QuotaLimits
  readonly #nodeId: string
  readonly #name: string
  readonly #keys: QuotaKeys
  readonly #quick: QuickCalls
  readonly #here: LocalUserQuota
  readonly #shared: SharedHolds
  readonly #unsaid: UnsaidHolds
  readonly #living: LivingNodes
  readonly #ends: (() => void)[]
  /** Without limits nobody needs to know what is held elsewhere. */
  readonly #isShared: boolean

  constructor({ redis, prefix, name, cluster, limits, clock }: RedisUserQuotaOptions) {
    this.limits = limits
    this.#nodeId = cluster.nodeId
    this.#name = name
    this.#keys = new QuotaKeys(prefix, name)
    this.#quick = new QuickCalls({ redis, clock })
    this.#here = new LocalUserQuota(limits)
    this.#shared = new SharedHolds(redis, this.#keys)
    this.#unsaid = new UnsaidHolds(this.#shared, this.#here, cluster.nodeId)
    this.#living = new LivingNodes(cluster, clock)
    this.#isShared = limits.maxHolds > 0 || limits.maxWeight > 0
    this.#ends = this.#isShared
      ? [
          cluster.onNodeGone((node) => this.#shared.removeNode(node.nodeId)),
          cluster.onRejoined(() => this.#unsaid.sayAll()),
          redis.onUp(() => void this.#unsaid.say()),
          clock.every(TELL_MS, () => void this.#unsaid.say()),
        ]
      : []
  }

  get health(): ComponentHealth {
    const { reason } = this.#quick
    if (!this.#isShared || reason === undefined) return { status: 'ok' }
    return {
      status: 'degraded',
      reason: `each node counts for itself what a user has, for Redis is away: ${reason}`,
    }
  }

  async take(hold: Hold): Promise<TakeAnswer> {
    if (!this.#isShared) return this.#here.takeNow(hold)
    this.#unsaid.asking(hold)
    try {
      const answer = (await this.#takeShared(hold)) ?? this.#here.takeNow(hold)
      if (answer === 'taken') this.#here.hold(hold)
      return answer
    } finally {
      this.#unsaid.asked(hold)
    }
  }

  hold(hold: Hold): void {
    const isKnown = this.#here.has(hold.userId, hold.id)
    this.#here.hold(hold)
    if (this.#isShared && !isKnown) this.#unsaid.held(hold)
  }

  release(userId: string, id: string): void {
    if (!this.#here.has(userId, id)) return
    this.#here.release(userId, id)
    if (this.#isShared) this.#unsaid.released(userId, id)
  }

  held(): Iterable<Hold> {
    return this.#here.held()
  }

  async faults(): Promise<readonly ConsistencyFault[]> {
    const leaked = leakedHolds(this)
    if (!this.#isShared) return leaked
    const faults = await quotaFaults({
      name: this.#name,
      nodeId: this.#nodeId,
      here: this.#here,
      shared: this.#shared,
      living: await this.#living.read(),
      sayAgain: (userId) => this.#unsaid.sayAgain(userId),
    })
    return [...leaked, ...faults]
  }

  [Symbol.dispose](): void {
    for (const end of this.#ends) end()
  }

  /** What Redis answers; `undefined` where it does not. */
  async #takeShared(hold: Hold): Promise<TakeAnswer | undefined> {
    const [answer, ...nodes] = (await this.#ask(hold)) ?? []
    if (answer === undefined) return this.#unanswered(hold)
    if (answer === 'taken') return 'taken'
    // Nobody is refused for what a dead node holds that nobody has cleared away yet.
    const gone = await this.#living.goneOf(nodes)
    if (gone.length === 0) return refusalOf(answer)
    const cleared = gone.map((nodeId) => this.#shared.setAll(nodeId, hold.userId, []))
    if ((await Promise.allSettled(cleared)).some(({ status }) => status === 'rejected'))
      return refusalOf(answer)
    const [again] = (await this.#ask(hold)) ?? []
    if (again === undefined) return this.#unanswered(hold)
    return again === 'taken' ? 'taken' : refusalOf(again)
  }

  #ask(hold: Hold): Promise<string[] | undefined> {
    const { maxHolds, maxWeight } = this.limits
    const others = this.#here.heldBy(hold.userId).filter(({ id }) => id !== hold.id)
    const weights = maxWeight === 0 ? [] : others.flatMap((other) => [other.id, weightOf(other)])
    const args = [this.#nodeId, hold.id, weightOf(hold), maxHolds, maxWeight, ...weights]
    return this.#quick.run(TAKE_HOLD, [this.#keys.user(hold.userId)], args)
  }

  /** It may have been taken all the same. */
  #unanswered({ userId }: Hold): undefined {
    this.#unsaid.sayAgain(userId)
    return undefined
  }
}

function refusalOf(answer: string): TakeAnswer {
  return answer === 'too_heavy' ? 'too_heavy' : 'too_many'
}
