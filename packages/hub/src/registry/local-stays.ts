import { randomBytes } from 'node:crypto'
import type { PresenceMember } from '@tributary/protocol'
import {
  type Announcement,
  DEFAULT_CLAIM_MS,
  type Due,
  type MemberPage,
  type PresenceRules,
} from './connection-registry.ts'
import { GroupWatches } from './group-watches.ts'
import { NO_STAY_RECORDS, type StayRecord, type StayRecords } from './stay-records.ts'

/** The group of which every user is a member as long as he is connected at all. Nobody is told of it. */
const EVERYWHERE = ''
/** Of most stays there is nothing to tell. */
const NONE: readonly Announcement[] = []

interface Stay {
  readonly group: string
  readonly userId: string
  readonly stayId: string
  readonly since: number
  readonly shown: string | undefined
  connections: number
  /** When he has left, if he does not come back. */
  leavesAt: number | undefined
  isOver: boolean
  /** What is to be told, in order. */
  pending: readonly Announcement[]
  /** Until when who was handed it may acknowledge that. */
  claimedUntil: number
}

export interface LocalStaysOptions {
  readonly rules: PresenceRules
  readonly now: () => number
  /** Default: nothing is kept beyond the process. */
  readonly records?: StayRecords
}

/** The stays of users in groups, and what is to be told of them. */
export class LocalStays {
  readonly #rules: PresenceRules
  readonly #now: () => number
  readonly #records: StayRecords
  readonly #watches: GroupWatches
  readonly #byPlace = new Map<string, Stay>()
  readonly #byGroup = new Map<string, Map<string, Stay>>()
  // Those that wait for a time: the earliest first, for the times are all the same length.
  readonly #leaving = new Set<string>()
  readonly #claimed = new Set<string>()
  // What makes the ids of its stays others than those of any other process.
  readonly #life = randomBytes(9).toString('base64url')
  #stays = 0

  constructor({ rules, now, records = NO_STAY_RECORDS }: LocalStaysOptions) {
    this.#rules = rules
    this.#now = now
    this.#records = records
    this.#watches = new GroupWatches(now, records)
    for (const [place, { pending, ...kept }] of records.stays) {
      const stay = {
        shown: undefined,
        ...kept,
        connections: 0,
        leavesAt: undefined,
        pending: [...pending],
        claimedUntil: 0,
      }
      this.#byPlace.set(place, stay)
      if (pending.length > 0) this.#claimed.add(place)
      if (!stay.isOver) {
        this.#put(stay)
        this.#leaveLater(place, stay)
      }
    }
  }

  /** One more connection of a user, which is in these groups. */
  enter(userId: string, groups: readonly string[], shown: string | undefined): Announcement[] {
    return this.#step([EVERYWHERE, ...groups], (group, changed) => this.#enter(userId, group, shown, changed))
  }

  /** One more connection of a user in these groups. */
  join(userId: string, groups: readonly string[], shown: string | undefined): Announcement[] {
    return this.#step(groups, (group, changed) => this.#enter(userId, group, shown, changed))
  }

  /** One connection of a user less, which was in these groups. */
  exit(userId: string, groups: readonly string[]): void {
    this.leave(userId, [EVERYWHERE, ...groups])
  }

  /** One connection of a user less in these groups. */
  leave(userId: string, groups: readonly string[]): void {
    for (const group of groups) {
      const place = placeOf(group, userId)
      const stay = this.#byPlace.get(place)
      if (stay === undefined || stay.connections === 0) continue
      stay.connections -= 1
      if (stay.connections === 0) this.#leaveLater(place, stay)
    }
  }

  watch(groups: readonly string[], forMs: number): void {
    const changed = new Map<string, StayRecord | null>()
    for (const group of this.#watches.add(groups, forMs)) {
      for (const stay of this.#byGroup.get(group)?.values() ?? []) {
        changed.set(placeOf(group, stay.userId), recordOf(stay))
      }
    }
    this.#records.store(changed)
  }

  members(group: string, { limit, after }: { readonly limit: number; readonly after?: string }): MemberPage {
    const stays = this.#byGroup.get(group) ?? new Map<string, Stay>()
    const userIds = [...stays.keys()].filter((userId) => after === undefined || userId > after).toSorted()
    const page = userIds.slice(0, limit)
    const last = page.at(-1)
    return {
      userCount: stays.size,
      members: page.flatMap((userId) => memberOf(stays.get(userId))),
      ...(userIds.length > limit && last !== undefined ? { next: last } : {}),
    }
  }

  userSince(userId: string): number | undefined {
    return this.#byPlace.get(placeOf(EVERYWHERE, userId))?.since
  }

  due(): Due {
    const now = this.#now()
    const changed = new Map<string, StayRecord | null>()
    const announcements: Announcement[] = []
    for (const place of this.#leaving) {
      const stay = this.#byPlace.get(place)
      if (stay?.leavesAt !== undefined && stay.leavesAt > now) break
      this.#leaving.delete(place)
      if (stay === undefined) continue
      announcements.push(...this.#end(place, stay, changed))
    }
    // A copy: what is handed out again goes behind the others.
    for (const place of [...this.#claimed]) {
      const stay = this.#byPlace.get(place)
      if (stay === undefined) continue
      if (stay.claimedUntil > now) break
      announcements.push(...this.#claim(place, stay))
    }
    this.#records.store(changed)
    const nextMs = Math.min(
      ...[this.#firstOf(this.#leaving, 'leavesAt'), this.#firstOf(this.#claimed, 'claimedUntil')],
    )
    return {
      announcements,
      ...(nextMs === Number.POSITIVE_INFINITY ? {} : { nextInMs: Math.max(0, nextMs - now) }),
    }
  }

  /** Answers what was behind what was told. */
  acknowledge(announcements: readonly Announcement[]): Announcement[] {
    const changed = new Map<string, StayRecord | null>()
    const next: Announcement[] = []
    for (const { place, kind, stayId } of announcements) {
      const stay = this.#byPlace.get(place)
      if (stay === undefined) continue
      const told = stay.pending.findIndex((one) => one.kind === kind && one.stayId === stayId)
      if (told === -1) continue
      stay.pending = told + 1 === stay.pending.length ? NONE : stay.pending.slice(told + 1)
      if (stay.pending.length > 0) {
        next.push(...this.#claim(place, stay))
        continue
      }
      this.#claimed.delete(place)
      if (stay.isOver) this.#byPlace.delete(place)
      changed.set(place, stay.isOver ? null : recordOf(stay))
    }
    this.#records.store(changed)
    return next
  }

  #step(
    groups: readonly string[],
    one: (group: string, changed: Map<string, StayRecord | null>) => Announcement[],
  ): Announcement[] {
    const changed = new Map<string, StayRecord | null>()
    const announcements = groups.flatMap((group) => one(group, changed))
    this.#records.store(changed)
    return announcements
  }

  #enter(
    userId: string,
    group: string,
    shown: string | undefined,
    changed: Map<string, StayRecord | null>,
  ): Announcement[] {
    const place = placeOf(group, userId)
    const before = this.#byPlace.get(place)
    if (before !== undefined && !before.isOver) {
      before.connections += 1
      before.leavesAt = undefined
      this.#leaving.delete(place)
      return []
    }
    const now = this.#now()
    const stay: Stay = {
      group,
      userId,
      stayId: this.#nextStayId(),
      since: now,
      shown,
      connections: 1,
      leavesAt: undefined,
      isOver: false,
      // What is still to be told of the stay before comes first.
      pending: before?.pending ?? NONE,
      claimedUntil: before?.claimedUntil ?? 0,
    }
    this.#byPlace.set(place, stay)
    this.#put(stay)
    if (!this.#isTold(group)) return []
    stay.pending = [...stay.pending, announcement('join', place, stay, now)]
    changed.set(place, recordOf(stay))
    return this.#claimOrWait(place, stay)
  }

  /** He has not come back. */
  #end(place: string, stay: Stay, changed: Map<string, StayRecord | null>): Announcement[] {
    stay.isOver = true
    stay.leavesAt = undefined
    this.#take(stay)
    if (this.#isTold(stay.group))
      stay.pending = [...stay.pending, announcement('leave', place, stay, this.#now())]
    if (stay.pending.length === 0) this.#byPlace.delete(place)
    if (stay.group !== EVERYWHERE) changed.set(place, stay.pending.length === 0 ? null : recordOf(stay))
    return stay.pending.length === 0 ? [] : this.#claimOrWait(place, stay)
  }

  #nextStayId(): string {
    this.#stays += 1
    return `${this.#life}-${this.#stays.toString(36)}`
  }

  /** Hands out what is to be told, unless somebody has been handed what comes before it. */
  #claimOrWait(place: string, stay: Stay): Announcement[] {
    if (this.#claimed.has(place)) return []
    return this.#claim(place, stay)
  }

  #claim(place: string, stay: Stay): Announcement[] {
    stay.claimedUntil = this.#now() + (this.#rules.claimMs ?? DEFAULT_CLAIM_MS)
    this.#claimed.delete(place)
    this.#claimed.add(place)
    return [...stay.pending]
  }

  #leaveLater(place: string, stay: Stay): void {
    stay.leavesAt = this.#now() + this.#rules.graceMs
    this.#leaving.delete(place)
    this.#leaving.add(place)
  }

  #isTold(group: string): boolean {
    return group !== EVERYWHERE && (this.#rules.announceAll || this.#watches.has(group))
  }

  #firstOf(places: ReadonlySet<string>, when: 'leavesAt' | 'claimedUntil'): number {
    for (const place of places) return this.#byPlace.get(place)?.[when] ?? 0
    return Number.POSITIVE_INFINITY
  }

  #put(stay: Stay): void {
    if (stay.group === EVERYWHERE) return
    const ofGroup = this.#byGroup.get(stay.group) ?? new Map<string, Stay>()
    this.#byGroup.set(stay.group, ofGroup.set(stay.userId, stay))
  }

  #take({ group, userId }: Stay): void {
    const ofGroup = this.#byGroup.get(group)
    if (ofGroup?.delete(userId) && ofGroup.size === 0) this.#byGroup.delete(group)
  }
}

function placeOf(group: string, userId: string): string {
  return `${group.length}:${group}${userId}`
}

function announcement(kind: 'join' | 'leave', place: string, stay: Stay, at: number): Announcement {
  const { group, userId, stayId, since, shown } = stay
  return { kind, place, group, userId, stayId, since, at, ...(shown === undefined ? {} : { shown }) }
}

function recordOf({ group, userId, stayId, since, shown, isOver, pending }: Stay): StayRecord {
  return {
    group,
    userId,
    stayId,
    since,
    ...(shown === undefined ? {} : { shown }),
    isOver,
    pending: [...pending],
  }
}

function memberOf(stay: Stay | undefined): PresenceMember[] {
  if (stay === undefined) return []
  const { userId, stayId, since, connections: connectionCount, shown } = stay
  return [
    {
      userId,
      stayId,
      since,
      connectionCount,
      ...(shown === undefined ? {} : { metadata: JSON.parse(shown) }),
    },
  ]
}
