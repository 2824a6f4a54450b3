import { randomBytes } from 'node:crypto'
import {
  type Announcement,
  DEFAULT_CLAIM_MS,
  type Due,
  type MemberPage,
  type PresenceRules,
} from './connection-registry.ts'
import { GroupStays } from './group-stays.ts'
import { GroupWatches } from './group-watches.ts'
import { announcementOf, EVERYWHERE, NOTHING_TO_TELL, placeOf, recordOf, type Stay, stayOf } from './stay.ts'
import { NO_STAY_RECORDS, type StayRecord, type StayRecords } from './stay-records.ts'

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
  readonly #byGroup = new GroupStays()
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
    for (const [place, record] of records.stays) {
      const stay = stayOf(record)
      this.#byPlace.set(place, stay)
      if (stay.pending.length > 0) this.#claimed.add(place)
      if (stay.isOver) continue
      this.#byGroup.add(stay)
      this.#leaveLater(place, stay)
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
      for (const stay of this.#byGroup.of(group)) {
        changed.set(placeOf(group, stay.userId), recordOf(stay))
      }
    }
    this.#records.store(changed)
  }

  members(group: string, page: { readonly limit: number; readonly after?: string }): MemberPage {
    return this.#byGroup.members(group, page)
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
      stay.pending = told + 1 === stay.pending.length ? NOTHING_TO_TELL : stay.pending.slice(told + 1)
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
      pending: before?.pending ?? NOTHING_TO_TELL,
      claimedUntil: before?.claimedUntil ?? 0,
    }
    this.#byPlace.set(place, stay)
    this.#byGroup.add(stay)
    if (!this.#isTold(group)) return []
    stay.pending = [...stay.pending, announcementOf('join', stay, now)]
    changed.set(place, recordOf(stay))
    return this.#claimOrWait(place, stay)
  }

  /** He has not come back. */
  #end(place: string, stay: Stay, changed: Map<string, StayRecord | null>): Announcement[] {
    stay.isOver = true
    stay.leavesAt = undefined
    this.#byGroup.remove(stay)
    if (this.#isTold(stay.group)) stay.pending = [...stay.pending, announcementOf('leave', stay, this.#now())]
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
}
