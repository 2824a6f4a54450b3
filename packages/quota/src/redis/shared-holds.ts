import type { RedisConnections } from '@tributary/redis'
import { weightOf } from '../local-user-quota.ts'
import type { Hold } from '../user-quota.ts'
import { SET_HOLDS } from './quota-scripts.ts'
import type { QuotaKeys } from './redis-keys.ts'

/** One hold of a user as Redis has it. */
export interface SharedHold {
  readonly id: string
  readonly nodeId: string
}

/** What Redis has of the holds of users. Every call throws where Redis is away. */
export class SharedHolds {
  readonly #redis: RedisConnections
  readonly #keys: QuotaKeys

  constructor(redis: RedisConnections, keys: QuotaKeys) {
    this.#redis = redis
    this.#keys = keys
  }

  /** Has it known that a node holds something of a user, so that it is found when the node is gone. */
  async addUser(nodeId: string, userId: string): Promise<void> {
    await this.#redis.call((redis) => redis.sadd(this.#keys.node(nodeId), userId), { again: true })
  }

  /** The users of whom a node holds something, or did. */
  usersOf(nodeId: string): Promise<string[]> {
    return this.#redis.call((redis) => redis.smembers(this.#keys.node(nodeId)), { again: true })
  }

  /** Holds it for a node, whoever else did. */
  async take(nodeId: string, hold: Hold): Promise<void> {
    await this.#set(nodeId, hold.userId, 'take', [hold.id, weightOf(hold)])
  }

  /** These are all that a node holds of a user, as far as no other has taken them over. */
  async setAll(nodeId: string, userId: string, holds: readonly Hold[]): Promise<void> {
    const said = holds.flatMap((hold) => [hold.id, weightOf(hold)])
    await this.#set(nodeId, userId, 'all', said)
  }

  async release(nodeId: string, userId: string, id: string): Promise<void> {
    await this.#set(nodeId, userId, 'some', [id, ''])
  }

  /** Lets go of all that a node held. */
  async removeNode(nodeId: string): Promise<void> {
    for (const userId of await this.usersOf(nodeId)) await this.setAll(nodeId, userId, [])
    await this.#redis.call((redis) => redis.del(this.#keys.node(nodeId)), { again: true })
  }

  async of(userId: string): Promise<SharedHold[]> {
    const all = await this.#redis.call((redis) => redis.hgetall(this.#keys.user(userId)), { again: true })
    return Object.entries(all).map(([id, value]) => ({ id, nodeId: value.split(' ', 1)[0] ?? '' }))
  }

  #set(nodeId: string, userId: string, how: 'some' | 'all' | 'take', said: readonly (string | number)[]) {
    // Not again: by then it may be otherwise, and whoever holds it says so.
    return this.#redis.run(SET_HOLDS, [this.#keys.user(userId)], [nodeId, how, ...said])
  }
}
