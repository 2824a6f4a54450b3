import Type, { type Static } from 'typebox'
import { Name } from './name.ts'

/** What tells of who comes and goes. Only the hub says them: what is said is relied on. */
export const PRESENCE_EVENTS = ['presence_join', 'presence_leave'] as const
export type PresenceEvent = (typeof PRESENCE_EVENTS)[number]

export function isPresenceEvent(type: string): type is PresenceEvent {
  return (PRESENCE_EVENTS as readonly string[]).includes(type)
}

const Since = Type.Number({ description: 'When he came, in milliseconds since 1970.' })
const StayId = Type.String({
  description: 'Of this stay: from the first of his connections in the group until he has left.',
})
const Shown = Type.Optional(
  Type.Record(Type.String(), Type.Unknown(), {
    description: 'What others may see of his metadata (PRESENCE_METADATA).',
  }),
)

/** The data of `presence_join` and `presence_leave`: one of each for a stay, however many connections he has. */
export const PresenceChange = Type.Object({
  group: Type.String(),
  userId: Type.String(),
  stayId: StayId,
  since: Since,
  at: Type.Number({ description: 'When it was found that he came, or had left; milliseconds since 1970.' }),
  metadata: Shown,
})
export type PresenceChange = Static<typeof PresenceChange>

export const PresenceMember = Type.Object({
  userId: Type.String(),
  stayId: StayId,
  since: Since,
  connectionCount: Type.Integer({
    description: 'Those in the group. 0: he is gone, and may be back in a moment (PRESENCE_GRACE_MS).',
  }),
  metadata: Shown,
})
export type PresenceMember = Static<typeof PresenceMember>

/** The most users in one answer. */
const MAX_PRESENCE_LIMIT = 1_000
export const DEFAULT_PRESENCE_LIMIT = 100

export const PresenceQuery = Type.Object({
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MAX_PRESENCE_LIMIT,
      description: `Users in the answer. Default ${DEFAULT_PRESENCE_LIMIT}.`,
    }),
  ),
  after: Type.Optional(
    Type.String({ ...Name, description: 'The `next` of the answer before: the page after it.' }),
  ),
})
export type PresenceQuery = Static<typeof PresenceQuery>

export const GroupPresence = Type.Object({
  groupId: Type.String(),
  userCount: Type.Integer({ description: 'Users in the group, on all pages.' }),
  users: Type.Array(PresenceMember, { description: 'In the order of their ids.' }),
  next: Type.Optional(
    Type.String({ description: 'There where there are more: the `after` of the next page.' }),
  ),
  cursor: Type.String({
    description:
      'From here on changes are told: open a stream with `?presence=true&lastEventId=` and the cursor of the first page.',
  }),
})
export type GroupPresence = Static<typeof GroupPresence>

export const UserPresence = Type.Object({
  userId: Type.String(),
  online: Type.Boolean({ description: 'Whether he is connected, or was a moment ago (PRESENCE_GRACE_MS).' }),
  since: Type.Optional(Since),
  connectionCount: Type.Integer(),
  groups: Type.Array(Type.String(), { description: 'Those that his connections are in.' }),
})
export type UserPresence = Static<typeof UserPresence>
