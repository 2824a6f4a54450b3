import Type, { type Static } from 'typebox'
import { ConnectionState, ConnectionStates } from './connection-state.ts'
import { Name } from './name.ts'

/** An open connection, as others may see it. */
export const ConnectionView = Type.Object(
  {
    connectionId: Type.String(),
    nodeId: Type.Optional(Type.String({ description: 'The gateway process that has it.' })),
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

/** There where not all have answered. */
/** Of what is asked of all nodes. */
export const Acknowledged = Type.Array(Type.String(), {
  description: 'Nodes that have done it, the one that answers too.',
})
const Unreachable = Type.Optional(
  Type.Array(Type.String(), { description: 'Nodes that did not answer: what is theirs is missing here.' }),
)

/** The part of an answer that names the nodes that gave none, where there are any. */
export function unreachableOf(nodes: readonly string[]): { unreachable?: string[] } {
  return nodes.length === 0 ? {} : { unreachable: [...nodes] }
}

const MAX_CONNECTION_LIMIT = 1_000
export const DEFAULT_CONNECTION_LIMIT = 1_000

/** A page of connections. */
export const ConnectionListQuery = Type.Object({
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MAX_CONNECTION_LIMIT,
      description: `Connections in the answer. Default ${DEFAULT_CONNECTION_LIMIT}.`,
    }),
  ),
  after: Type.Optional(
    Type.String({
      maxLength: 256,
      pattern: '^\\d+-.+$',
      description: 'The `next` of the answer before: the page after it.',
    }),
  ),
})
export type ConnectionListQuery = Static<typeof ConnectionListQuery>
const Next = Type.Optional(
  Type.String({ description: 'There where there are more: the `after` of the next page.' }),
)

export const ConnectionList = Type.Object({
  connections: Type.Array(ConnectionView, { description: 'The oldest first.' }),
  next: Next,
  unreachable: Unreachable,
})

const Counts = Type.Record(Type.String(), Type.Integer())

const hubCounts = {
  totalEmitters: Type.Integer({ description: 'Open connections.' }),
  totalUsers: Type.Integer(),
  totalGroups: Type.Integer(),
  emittersByUser: Counts,
  emittersByGroup: Counts,
  connectionStates: ConnectionStates,
}

const HubCounts = Type.Object(hubCounts)
export type HubCounts = Static<typeof HubCounts>

export const HubStatus = Type.Object({
  ...hubCounts,
  local: Type.Object(
    { nodeId: Type.String(), ...hubCounts },
    { description: 'The share of the node that answers; the rest is of all.' },
  ),
  unreachable: Unreachable,
})
export type HubStatus = Static<typeof HubStatus>

const LocalCount = Type.Object(
  { connectionCount: Type.Integer() },
  { description: 'The share of the node that answers; the rest is of all.' },
)

export const UserStatus = Type.Object({
  userId: Type.String(),
  connected: Type.Boolean(),
  connectionCount: Type.Integer(),
  connections: Type.Array(ConnectionView),
  next: Next,
  local: LocalCount,
  unreachable: Unreachable,
})

export const GroupStatus = Type.Object({
  groupId: Type.String(),
  connectionCount: Type.Integer(),
  users: Type.Array(Type.String(), { description: 'Those of the connections in the answer.' }),
  connections: Type.Array(ConnectionView),
  next: Next,
  local: LocalCount,
  unreachable: Unreachable,
})

export const CloseQuery = Type.Object({
  reason: Type.Optional(Type.String({ maxLength: 512, description: 'Told to the reader as `message`.' })),
})
export const CloseAnswer = Type.Object({
  success: Type.Literal(true),
  closed: Type.Integer({ description: 'On all nodes.' }),
  local: Type.Object({ closed: Type.Integer() }, { description: 'The share of the node that answers.' }),
  acknowledged: Acknowledged,
  unreachable: Unreachable,
})

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
export type SubscriptionAnswer = Static<typeof SubscriptionAnswer>
