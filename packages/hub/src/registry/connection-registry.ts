import type { PresenceMember } from '@tributary/protocol'
import type { ConnectionLimitPolicy } from '../user-limit.ts'

/** A registration: of the same id there may have been another before. */
export interface ConnectionRef {
  readonly connectionId: string
  /** Random, of this registration. */
  readonly token: string
}

/** A connection as all nodes know it. */
export interface ConnectionEntry extends ConnectionRef {
  /** Where it is open. */
  readonly nodeId: string
  readonly userId?: string
  readonly groups: readonly string[]
  /** What others may see of its user, as JSON. */
  readonly shown?: string
}

/** What holds over all nodes. 0 is no limit. */
export interface ConnectionLimits {
  readonly maxPerUser: number
  readonly maxTotal: number
  /** What one beyond `maxPerUser` does: it is refused, or the user's oldest ends for it. */
  readonly policy: ConnectionLimitPolicy
  /** What a second one of the same id does. */
  readonly duplicate: 'refuse' | 'replace'
}

export interface RegisterOptions {
  readonly limits: ConnectionLimits
  /** How long changes in its groups are wanted from now on, in ms. Default: as before. */
  readonly watchMs?: number
  /** Nodes whose entries count for nothing: they were asked, and do not answer. */
  readonly ignoring?: readonly string[]
}

/** What came of a registration. It is all or nothing. */
export type Registration =
  /** `displaced` are no longer registered, and are to be ended as `replaced` where they are open. */
  | {
      readonly ok: true
      readonly displaced: readonly ConnectionEntry[]
      readonly announcements: readonly Announcement[]
    }
  /** `holders` are those that it was refused for: where one is no longer open after all, removing it makes room. */
  | {
      readonly ok: false
      readonly reason: 'exists' | 'user_limit'
      readonly holders: readonly ConnectionEntry[]
    }
  | { readonly ok: false; readonly reason: 'total_limit' }

/**
 * That somebody came into a group, or left it. To be told once, in the order within one `place`, and then acknowledged;
 * what is not is handed out again, to any node.
 */
export interface Announcement {
  readonly kind: 'join' | 'leave'
  /** The user's place in the group, for who acknowledges it. */
  readonly place: string
  readonly group: string
  readonly userId: string
  /** Of the stay: the same announcement has the same kind and stay, however often it is handed out. */
  readonly stayId: string
  /** Milliseconds since 1970. */
  readonly since: number
  readonly at: number
  /** What others may see of the user, as JSON. */
  readonly shown?: string
}

/** What is to be told, and when to ask again. */
export interface Due {
  readonly announcements: readonly Announcement[]
  /** In how many ms something falls due. Default: nothing does that is known of. */
  readonly nextInMs?: number
}

/** How many there are, over all nodes. */
export interface ConnectionCounts {
  readonly total: number
  readonly byUser: Readonly<Record<string, number>>
  readonly byGroup: Readonly<Record<string, number>>
}

export interface MemberPage {
  /** Users in the group, on all pages. */
  readonly userCount: number
  /** By user id. */
  readonly members: readonly PresenceMember[]
  /** There where there are more. */
  readonly next?: string
}

/** How presence is kept; the same on all nodes. */
export interface PresenceRules {
  /** How long a user who has no connection left may take to come back before he has left, in ms. */
  readonly graceMs: number
  /** Whether joins and leaves are announced of every group, watched or not. */
  readonly announceAll: boolean
  /** How long who is handed an announcement has to acknowledge it, in ms. Default 10,000. */
  readonly claimMs?: number
}

export const DEFAULT_CLAIM_MS = 10_000

/**
 * Who is connected, over all nodes, and who is in which group. A user's stay in a group begins with the first of his
 * connections in it, and ends some time after the last (`graceMs`). Joins and leaves are announced of groups that are
 * watched.
 *
 * Adapters: `LocalConnectionRegistry` (this process alone) and `RedisConnectionRegistry`. What is said to throw
 * `store_unavailable` does so while the other nodes cannot be known of.
 */
export interface ConnectionRegistry {
  /** Registers a connection within the limits. @throws ProblemError `store_unavailable` */
  register(entry: ConnectionEntry, options: RegisterOptions): Promise<Registration>

  /** Registers connections that are open, whatever the limits. One that is registered stays as it is. */
  restore(entries: readonly ConnectionEntry[]): Promise<readonly Announcement[]>

  /** Has a connection join and leave groups. One that is not registered is left alone. */
  move(ref: ConnectionRef, groups: GroupMove): Promise<readonly Announcement[]>

  /** Removes connections that have ended. Those that are not registered are none of its business. */
  remove(refs: readonly ConnectionRef[]): Promise<void>

  find(connectionId: string): Promise<ConnectionEntry | undefined>

  /** The oldest first. */
  ofUser(userId: string): Promise<readonly ConnectionEntry[]>

  /** Up to `limit` of those that are registered as open at a node, in no order; from `after` on, where there were more. */
  ofNode(nodeId: string, page: { readonly limit: number; readonly after?: string }): Promise<NodePage>

  count(): Promise<number>

  /** Connections in a group. */
  countOfGroup(group: string): Promise<number>

  counts(): Promise<ConnectionCounts>

  /** Who is in a group, those included who may be back in a moment. */
  members(group: string, page: { readonly limit: number; readonly after?: string }): Promise<MemberPage>

  /** Since when a user has been there, in ms since 1970; `undefined` where he is not. */
  userSince(userId: string): Promise<number | undefined>

  /** From now on, and for so long, joins and leaves of these groups are announced. */
  watch(groups: readonly string[], forMs: number): Promise<void>

  /** What is to be told now: of users who have left, and what somebody else was handed and has not acknowledged. */
  due(): Promise<Due>

  /** Forgets what has been told. Answers what was behind it, for the same caller. */
  acknowledge(announcements: readonly Announcement[]): Promise<readonly Announcement[]>
}

export interface GroupMove {
  readonly join: readonly string[]
  readonly leave: readonly string[]
  /** As of `RegisterOptions`, for the groups that it joins. */
  readonly watchMs?: number
}

export interface NodePage {
  readonly entries: readonly ConnectionEntry[]
  /** There where there may be more. */
  readonly next?: string
}
