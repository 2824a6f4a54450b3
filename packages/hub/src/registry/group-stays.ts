import type { MemberPage } from './connection-registry.ts'
import { EVERYWHERE, memberOf, type Stay } from './stay.ts'

/** The stays that are not over, by group. */
export class GroupStays {
  readonly #byGroup = new Map<string, Map<string, Stay>>()

  add(stay: Stay): void {
    if (stay.group === EVERYWHERE) return
    const ofGroup = this.#byGroup.get(stay.group) ?? new Map<string, Stay>()
    this.#byGroup.set(stay.group, ofGroup.set(stay.userId, stay))
  }

  remove({ group, userId }: Stay): void {
    const ofGroup = this.#byGroup.get(group)
    if (ofGroup?.delete(userId) && ofGroup.size === 0) this.#byGroup.delete(group)
  }

  of(group: string): Iterable<Stay> {
    return this.#byGroup.get(group)?.values() ?? []
  }

  /** A page of who is in a group, by user id. */
  members(group: string, { limit, after }: { readonly limit: number; readonly after?: string }): MemberPage {
    const stays = this.#byGroup.get(group) ?? new Map<string, Stay>()
    const userIds = [...stays.keys()].filter((userId) => after === undefined || userId > after).toSorted()
    const page = userIds.slice(0, limit)
    const last = page.at(-1)
    return {
      userCount: stays.size,
      members: page.flatMap((userId) => stays.get(userId) ?? []).map(memberOf),
      ...(userIds.length > limit && last !== undefined ? { next: last } : {}),
    }
  }
}
