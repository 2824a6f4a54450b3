import type { RedisConnections, RedisScript } from '@tributary/redis'
import {
  type Announcement,
  type ConnectionCounts,
  type ConnectionEntry,
  type ConnectionRef,
  type ConnectionRegistry,
  DEFAULT_CLAIM_MS,
  type Due,
  type GroupMove,
  type MemberPage,
  type NodePage,
  type PresenceRules,
  type RegisterOptions,
  type Registration,
} from '../registry/connection-registry.ts'
import { registryKeys } from './redis-keys.ts'
import { announcementsIn, entriesIn, membersIn } from './registry-answers.ts'
import { REGISTRY_SCRIPTS } from './registry-scripts.ts'

/** Places that are looked at in one call of `due`, so that no script takes long. */
const DUE_LIMIT = 200
/** Where SSCAN begins, and says that it is at the end. */
const SCAN_START = '0'

export interface RedisConnectionRegistryOptions {
  readonly redis: RedisConnections
  /** What all keys begin with. */
  readonly prefix: string
  /** The hub's, whose connections these are. */
  readonly namespace: string
  readonly rules: PresenceRules
}

/**
 * The connections of all nodes that have the same Redis, prefix and namespace. Nothing is tried again here: who cannot
 * wait for Redis goes on without, and `reconcile` mends what was left.
 */
export class RedisConnectionRegistry implements ConnectionRegistry {
  readonly #redis: RedisConnections
  readonly #keys: ReturnType<typeof registryKeys>
  readonly #scriptKeys: readonly string[]
  readonly #rules: { readonly graceMs: number; readonly claimMs: number; readonly announceAll: boolean }

  constructor({ redis, prefix, namespace, rules }: RedisConnectionRegistryOptions) {
    this.#redis = redis
    this.#keys = registryKeys(prefix, namespace)
    const { connections, users, groups, stays, due, watched } = this.#keys
    this.#scriptKeys = [connections, users, groups, stays, due, watched]
    const { graceMs, announceAll, claimMs = DEFAULT_CLAIM_MS } = rules
    this.#rules = { graceMs, announceAll, claimMs }
  }

  async register(entry: ConnectionEntry, options: RegisterOptions): Promise<Registration> {
    const { limits, watchMs, ignoring = [] } = options
    const asked = { entry, limits, watchMs, ignoring }
    const [reason, entries, announcements] = await this.#run(REGISTRY_SCRIPTS.register, asked)
    switch (reason) {
      case 'ok':
        return { ok: true, displaced: entriesIn(entries), announcements: announcementsIn(announcements) }
      case 'total_limit':
        return { ok: false, reason }
      default:
        return { ok: false, reason, holders: entriesIn(entries) }
    }
  }

  async restore(entries: readonly ConnectionEntry[]): Promise<readonly Announcement[]> {
    return announcementsIn(await this.#run(REGISTRY_SCRIPTS.restore, { entries }))
  }

  async move({ connectionId, token }: ConnectionRef, move: GroupMove): Promise<readonly Announcement[]> {
    return announcementsIn(await this.#run(REGISTRY_SCRIPTS.move, { connectionId, token, ...move }))
  }

  async remove(entries: readonly ConnectionRef[]): Promise<void> {
    const refs = entries.map(({ connectionId, token }) => ({ connectionId, token }))
    await this.#run(REGISTRY_SCRIPTS.remove, { refs })
  }

  async find(connectionId: string): Promise<ConnectionEntry | undefined> {
    const [entry] = entriesIn(await this.#run(REGISTRY_SCRIPTS.find, { ids: [connectionId] }))
    return entry
  }

  async ofUser(userId: string): Promise<readonly ConnectionEntry[]> {
    return entriesIn(await this.#run(REGISTRY_SCRIPTS.find, { userId }))
  }

  async ofNode(
    nodeId: string,
    { limit, after = SCAN_START }: { limit: number; after?: string },
  ): Promise<NodePage> {
    const key = this.#keys.node(nodeId)
    const [next, ids] = await this.#redis.call((redis) => redis.sscan(key, after, 'COUNT', limit))
    const entries = ids.length === 0 ? [] : entriesIn(await this.#run(REGISTRY_SCRIPTS.find, { ids }))
    return { entries, ...(next === SCAN_START ? {} : { next }) }
  }

  count(): Promise<number> {
    return this.#redis.call((redis) => redis.hlen(this.#keys.connections))
  }

  async countOfGroup(group: string): Promise<number> {
    return Number((await this.#redis.call((redis) => redis.hget(this.#keys.groups, group))) ?? 0)
  }

  async counts(): Promise<ConnectionCounts> {
    const { connections, users, groups } = this.#keys
    const [total, byUser, byGroup] = await this.#redis.call((redis) =>
      Promise.all([redis.hlen(connections), redis.hgetall(users), redis.hgetall(groups)]),
    )
    return { total, byUser: numbersIn(byUser), byGroup: numbersIn(byGroup) }
  }

  async members(group: string, { limit, after }: { limit: number; after?: string }): Promise<MemberPage> {
    const [userCount, texts] = await this.#run(REGISTRY_SCRIPTS.members, { group, limit, after })
    const found = membersIn(texts)
    const members = found.slice(0, limit)
    const last = members.at(-1)
    return {
      userCount,
      members,
      ...(found.length > limit && last !== undefined ? { next: last.userId } : {}),
    }
  }

  async userSince(userId: string): Promise<number | undefined> {
    const since = await this.#run(REGISTRY_SCRIPTS.userSince, { userId })
    return since === null ? undefined : Number(since)
  }

  async watch(groups: readonly string[], forMs: number): Promise<void> {
    await this.#run(REGISTRY_SCRIPTS.watch, { groups, forMs })
  }

  async due(): Promise<Due> {
    const [texts, nextMs] = await this.#run(REGISTRY_SCRIPTS.due, { limit: DUE_LIMIT })
    const nextInMs = Number(nextMs)
    return { announcements: announcementsIn(texts), ...(nextInMs < 0 ? {} : { nextInMs }) }
  }

  async acknowledge(announcements: readonly Announcement[]): Promise<readonly Announcement[]> {
    const told = announcements.map(({ place, kind, stayId }) => ({ place, kind, stayId }))
    return announcementsIn(await this.#run(REGISTRY_SCRIPTS.acknowledge, { told }))
  }

  #run<T>(script: RedisScript<T>, asked: Record<string, unknown>): Promise<T> {
    const args = [this.#keys.base, JSON.stringify({ ...asked, ...this.#rules })]
    return this.#redis.run(script, this.#scriptKeys, args)
  }
}

function numbersIn(counts: Readonly<Record<string, string>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, Number(count)]))
}
