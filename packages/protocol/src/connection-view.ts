import Type, { type Static } from 'typebox'
import { ConnectionState, ConnectionStates } from './connection-state.ts'
import { Name } from './send.ts'

/** An open connection, as others may see it. */
export const ConnectionView = Type.Object(
  {
    connectionId: Type.String(),
    userId: Type.Optional(Type.String()),
    sessionId: Type.Optional(Type.String()),
    groups: Type.Array(Type.String()),
    roles: Type.Array(Type.String()),
    metadata: Type.Record(Type.String(), Type.Unknown()),
    address: Type.Optional(Type.String({ description: 'Where its reader is, or the last proxy before it.' })),
    transport: Type.Literal('sse'),
    state: ConnectionState,
    connectedAt: Type.Number({ description: 'Milliseconds since 1970.' }),
    expiresAt: Type.Optional(Type.Number({ description: 'When its token ends, and it with that.' })),
    lastActivityAt: Type.Number({ description: 'When an event was last sent, or it was opened.' }),
    lastEventId: Type.Optional(Type.String({ description: 'The last event written to it.' })),
    eventsSent: Type.Integer(),
    bytesSent: Type.Integer(),
    eventsDropped: Type.Integer({ description: 'Those of low priority that it had no room for.' }),
    outbox: Type.Object(
      { bytes: Type.Integer(), events: Type.Integer() },
      { description: 'What waits for its reader; the events without those that its socket has.' },
    ),
  },
  { title: 'Connection' },
)
export type ConnectionView = Static<typeof ConnectionView>

export const ConnectionList = Type.Object({ connections: Type.Array(ConnectionView) })

const Counts = Type.Record(Type.String(), Type.Integer())

export const HubStatus = Type.Object({
  totalEmitters: Type.Integer({ description: 'Open connections.' }),
  totalUsers: Type.Integer(),
  totalGroups: Type.Integer(),
  emittersByUser: Counts,
  emittersByGroup: Counts,
  connectionStates: ConnectionStates,
})
export type HubStatus = Static<typeof HubStatus>

export const UserStatus = Type.Object({
  userId: Type.String(),
  connected: Type.Boolean(),
  connectionCount: Type.Integer(),
  connections: Type.Array(ConnectionView),
})

export const GroupStatus = Type.Object({
  groupId: Type.String(),
  connectionCount: Type.Integer(),
  users: Type.Array(Type.String()),
  connections: Type.Array(ConnectionView),
})

export const CloseQuery = Type.Object({
  reason: Type.Optional(Type.String({ maxLength: 512, description: 'Told to the reader as `message`.' })),
})
export const CloseAnswer = Type.Object({ success: Type.Literal(true), closed: Type.Integer() })

const GroupNames = Type.Array(Name, { maxItems: 1000 })
export const SubscriptionChange = Type.Object(
  { join: Type.Optional(GroupNames), leave: Type.Optional(GroupNames) },
  { additionalProperties: false },
)
export type SubscriptionChange = Static<typeof SubscriptionChange>
export const SubscriptionAnswer = Type.Object({
  connectionId: Type.String(),
  groups: Type.Array(Type.String()),
})
