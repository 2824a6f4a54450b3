import type { PresenceMember } from '@tributary/protocol'
import type { Announcement } from './connection-registry.ts'
import type { StayRecord } from './stay-records.ts'

/** The group of which every user is a member as long as he is connected at all. Nobody is told of it. */
export const EVERYWHERE = ''
/** Of most stays there is nothing to tell. */
export const NOTHING_TO_TELL: readonly Announcement[] = []

/** A user's time in a group, from the first of his connections in it on. */
export interface Stay {
  readonly group: string
  readonly userId: string
  readonly stayId: string
  /** Milliseconds since 1970. */
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

/** A user's place in a group: the same for all his stays there. */
export function placeOf(group: string, userId: string): string {
  return `${group.length}:${group}${userId}`
}

export function announcementOf(kind: 'join' | 'leave', stay: Stay, at: number): Announcement {
  const { group, userId, stayId, since, shown } = stay
  const place = placeOf(group, userId)
  return { kind, place, group, userId, stayId, since, at, ...(shown === undefined ? {} : { shown }) }
}

/** What is kept of a stay beyond the process. */
export function recordOf({ group, userId, stayId, since, shown, isOver, pending }: Stay): StayRecord {
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

/** A stay of which the process knows by its record alone: nobody is connected yet. */
export function stayOf({ pending, ...kept }: StayRecord): Stay {
  return {
    shown: undefined,
    ...kept,
    connections: 0,
    leavesAt: undefined,
    pending: [...pending],
    claimedUntil: 0,
  }
}

export function memberOf({ userId, stayId, since, connections, shown }: Stay): PresenceMember {
  return {
    userId,
    stayId,
    since,
    connectionCount: connections,
    ...(shown === undefined ? {} : { metadata: JSON.parse(shown) }),
  }
}
