import { type Clock, systemClock } from '@tributary/protocol'
import type {
  Announcement,
  ConnectionCounts,
  ConnectionEntry,
  ConnectionRef,
  ConnectionRegistry,
  Due,
  GroupMove,
  MemberPage,
  NodePage,
  PresenceRules,
  RegisterOptions,
  Registration,
} from './connection-registry.ts'
import { LocalStays } from './local-stays.ts'
import type { StayRecords } from './stay-records.ts'

export interface LocalConnectionRegistryOptions {
  readonly rules: PresenceRules
  /** Default: the machine's. */
  readonly clock?: Pick<Clock, 'now'>
  /** Where stays are kept beyond the process. Default: nowhere. */
  readonly records?: StayRecords
}

/** The connections of this process alone. */
export class LocalConnectionRegistry implements ConnectionRegistry {
  readonly #stays: LocalStays
  readonly #byId = new Map<string, ConnectionEntry>()
  // Both in the order in which they came.
  readonly #byUser = new Map<string, Map<string, ConnectionEntry>>()
  readonly #groupCounts = new Map<string, number>()

  constructor({ rules, clock = systemClock, records }: LocalConnectionRegistryOptions) {
    this.#stays = new LocalStays({
      rules,
      now: () => clock.now(),
      ...(records === undefined ? {} : { records }),
    })
  }

  async register(entry: ConnectionEntry, options: RegisterOptions): Promise<Registration> {
    const { limits, watchMs, ignoring = [] } = options
    const existing = this.#byId.get(entry.connectionId)
    if (existing !== undefined && limits.duplicate === 'refuse' && !ignoring.includes(existing.nodeId)) {
      return { ok: false, reason: 'exists', holders: [existing] }
    }
    const others = this.#othersOf(entry, ignoring)
    const surplus =
      entry.userId === undefined || limits.maxPerUser === 0 ? 0 : others.length + 1 - limits.maxPerUser
    if (surplus > 0 && limits.policy === 'reject') return { ok: false, reason: 'user_limit', holders: others }
    const displaced = [
      ...(existing === undefined ? [] : [existing]),
      ...others.slice(0, Math.max(0, surplus)),
    ]
    if (limits.maxTotal > 0 && this.#byId.size - displaced.length >= limits.maxTotal) {
      return { ok: false, reason: 'total_limit' }
    }
    if (watchMs !== undefined) this.#stays.watch(entry.groups, watchMs)
    for (const one of displaced) this.#drop(one)
    return { ok: true, displaced, announcements: this.#add(entry) }
  }

  async restore(entries: readonly ConnectionEntry[]): Promise<readonly Announcement[]> {
    return entries.flatMap((entry) => (this.#byId.has(entry.connectionId) ? [] : this.#add(entry)))
  }

  async move(ref: ConnectionRef, { join, leave, watchMs }: GroupMove): Promise<readonly Announcement[]> {
    const entry = this.#find(ref)
    if (entry === undefined) return []
    if (watchMs !== undefined) this.#stays.watch(join, watchMs)
    const joined = join.filter((group) => !entry.groups.includes(group))
    const left = leave.filter((group) => entry.groups.includes(group) && !join.includes(group))
    const groups = [...entry.groups.filter((group) => !left.includes(group)), ...joined]
    this.#put({ ...entry, groups })
    for (const group of left) this.#countGroup(group, -1)
    for (const group of joined) this.#countGroup(group, 1)
    if (entry.userId === undefined) return []
    this.#stays.leave(entry.userId, left)
    return this.#stays.join(entry.userId, joined, entry.shown)
  }

  async remove(refs: readonly ConnectionRef[]): Promise<void> {
    for (const ref of refs) {
      const entry = this.#find(ref)
      if (entry !== undefined) this.#drop(entry)
    }
  }

  async find(connectionId: string): Promise<ConnectionEntry | undefined> {
    return this.#byId.get(connectionId)
  }

  async ofUser(userId: string): Promise<readonly ConnectionEntry[]> {
    return [...(this.#byUser.get(userId)?.values() ?? [])]
  }

  async ofNode(nodeId: string, { limit, after }: { limit: number; after?: string }): Promise<NodePage> {
    const ids = [...this.#byId.values()]
      .filter((entry) => entry.nodeId === nodeId)
      .map((entry) => entry.connectionId)
    const rest = ids.filter((id) => after === undefined || id > after).toSorted()
    const page = rest.slice(0, limit)
    const next = page.at(-1)
    return {
      entries: page.flatMap((id) => this.#byId.get(id) ?? []),
      ...(rest.length > limit && next !== undefined ? { next } : {}),
    }
  }

  async count(): Promise<number> {
    return this.#byId.size
  }

  async countOfGroup(group: string): Promise<number> {
    return this.#groupCounts.get(group) ?? 0
  }

  async counts(): Promise<ConnectionCounts> {
    return {
      total: this.#byId.size,
      byUser: Object.fromEntries([...this.#byUser].map(([userId, entries]) => [userId, entries.size])),
      byGroup: Object.fromEntries(this.#groupCounts),
    }
  }

  async members(group: string, page: { limit: number; after?: string }): Promise<MemberPage> {
    return this.#stays.members(group, page)
  }

  async userSince(userId: string): Promise<number | undefined> {
    return this.#stays.userSince(userId)
  }

  async watch(groups: readonly string[], forMs: number): Promise<void> {
    this.#stays.watch(groups, forMs)
  }

  async due(): Promise<Due> {
    return this.#stays.due()
  }

  async acknowledge(announcements: readonly Announcement[]): Promise<readonly Announcement[]> {
    return this.#stays.acknowledge(announcements)
  }

  #othersOf({ userId, connectionId }: ConnectionEntry, ignoring: readonly string[]): ConnectionEntry[] {
    if (userId === undefined) return []
    return [...(this.#byUser.get(userId)?.values() ?? [])].filter(
      (other) => other.connectionId !== connectionId && !ignoring.includes(other.nodeId),
    )
  }

  #find({ connectionId, token }: ConnectionRef): ConnectionEntry | undefined {
    const entry = this.#byId.get(connectionId)
    return entry?.token === token ? entry : undefined
  }

  #put(entry: ConnectionEntry): void {
    this.#byId.set(entry.connectionId, entry)
    if (entry.userId === undefined) return
    const ofUser = this.#byUser.get(entry.userId) ?? new Map<string, ConnectionEntry>()
    this.#byUser.set(entry.userId, ofUser.set(entry.connectionId, entry))
  }

  #add(entry: ConnectionEntry): Announcement[] {
    this.#put(entry)
    for (const group of entry.groups) this.#countGroup(group, 1)
    return entry.userId === undefined ? [] : this.#stays.enter(entry.userId, entry.groups, entry.shown)
  }

  #drop({ connectionId, userId, groups }: ConnectionEntry): void {
    this.#byId.delete(connectionId)
    for (const group of groups) this.#countGroup(group, -1)
    if (userId === undefined) return
    const ofUser = this.#byUser.get(userId)
    if (ofUser?.delete(connectionId) && ofUser.size === 0) this.#byUser.delete(userId)
    this.#stays.exit(userId, groups)
  }

  #countGroup(group: string, by: number): void {
    const count = (this.#groupCounts.get(group) ?? 0) + by
    if (count > 0) this.#groupCounts.set(group, count)
    else this.#groupCounts.delete(group)
  }
}
