import type { EventLog } from '@tributary/eventlog'
import {
  type GroupPresence,
  type HubStatus,
  presenceTopic,
  type UserPresence,
  unreachableOf,
} from '@tributary/protocol'
import type { HubNodes } from './hub-nodes.ts'
import type { LocalHub } from './local-hub.ts'
import type { ConnectionRegistry } from './registry/connection-registry.ts'

export interface HubRosterOptions {
  readonly registry: ConnectionRegistry
  readonly log: EventLog
  readonly local: LocalHub
  readonly nodes: HubNodes
  /** For how long joins and leaves are announced of a group that somebody looks at, in ms. */
  readonly watchMs: number
}

/** Who is connected, over all nodes. What it throws is `store_unavailable`. */
export class HubRoster {
  readonly #options: HubRosterOptions

  constructor(options: HubRosterOptions) {
    this.#options = options
  }

  async isConnected(userId: string): Promise<boolean> {
    return this.#options.local.isConnected(userId) || (await this.countForUser(userId)) > 0
  }

  /** The node that has a connection. */
  async nodeOf(connectionId: string): Promise<string | undefined> {
    const { local, registry } = this.#options
    if (local.getConnection(connectionId) !== undefined) return local.nodeId
    return (await registry.find(connectionId))?.nodeId
  }

  count(): Promise<number> {
    return this.#options.registry.count()
  }

  async countForUser(userId: string): Promise<number> {
    return (await this.#options.registry.ofUser(userId)).length
  }

  countForGroup(group: string): Promise<number> {
    return this.#options.registry.countOfGroup(group)
  }

  async presenceOfGroup(
    group: string,
    query: { readonly limit: number; readonly after?: string },
  ): Promise<GroupPresence> {
    const { registry, log, watchMs } = this.#options
    await registry.watch([group], watchMs)
    const following = log.follow([presenceTopic(group)])
    try {
      await following.ready
      // Before the members are read: what changes meanwhile is told behind it.
      const cursor = log.idOf(log.head)
      const { userCount, members, next } = await registry.members(group, query)
      return {
        groupId: group,
        userCount,
        users: [...members],
        ...(next === undefined ? {} : { next }),
        cursor,
      }
    } finally {
      following.end()
    }
  }

  async presenceOfUser(userId: string): Promise<UserPresence> {
    const { registry } = this.#options
    const [since, entries] = await Promise.all([registry.userSince(userId), registry.ofUser(userId)])
    return {
      userId,
      online: since !== undefined,
      ...(since === undefined ? {} : { since }),
      connectionCount: entries.length,
      groups: [...new Set(entries.flatMap(({ groups }) => groups))],
    }
  }

  async status(): Promise<HubStatus> {
    const { registry, nodes, local } = this.#options
    const [{ total, byUser, byGroup }, { states, unreachable }] = await Promise.all([
      registry.counts(),
      nodes.states(),
    ])
    return {
      totalEmitters: total,
      totalUsers: Object.keys(byUser).length,
      totalGroups: Object.keys(byGroup).length,
      emittersByUser: { ...byUser },
      emittersByGroup: { ...byGroup },
      connectionStates: states,
      local: { nodeId: local.nodeId, ...local.status() },
      ...unreachableOf(unreachable),
    }
  }
}
