import Type, { type Static } from 'typebox'
import { ConnectionState, ConnectionStates } from './connection-state.ts'
import { ConnectionView } from './connection-view.ts'
import { Name } from './name.ts'

const MAX_MONITOR_LIMIT = 1_000
export const DEFAULT_MONITOR_LIMIT = 100

export const MonitorQuery = Type.Object({
  state: Type.Optional(ConnectionState),
  user: Type.Optional(Name),
  group: Type.Optional(Name),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MAX_MONITOR_LIMIT,
      description: `Connections in the answer. Default ${DEFAULT_MONITOR_LIMIT}.`,
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
export type MonitorQuery = Static<typeof MonitorQuery>

const Limit = Type.Integer({ description: '0: no limit.' })

export const MonitorAnswer = Type.Object({
  timestamp: Type.Integer({ description: 'Milliseconds since 1970.' }),
  connections: Type.Array(ConnectionView, { description: 'Those asked for, the oldest first.' }),
  next: Type.Optional(
    Type.String({ description: 'There where there are more: the `after` of the next page.' }),
  ),
  totals: Type.Object(
    {
      connections: Type.Integer(),
      byState: ConnectionStates,
      byTransport: Type.Object({ sse: Type.Integer() }),
      streams: Type.Integer({ description: 'All open streams, also those of runs.' }),
      waitingPolls: Type.Integer(),
    },
    { description: 'Of all, whatever was asked for.' },
  ),
  oldest: Type.Optional(Type.Object({ connectionId: Type.String(), connectedAt: Type.Number() })),
  largestOutbox: Type.Optional(Type.Object({ connectionId: Type.String(), bytes: Type.Integer() })),
  limits: Type.Object({
    maxConnections: Limit,
    maxConnectionsPerUser: Limit,
    connectionLimitPolicy: Type.Enum(['reject', 'replace']),
    maxConnectionsPerAddress: Limit,
    connectRatePerS: Limit,
    outboxMaxBytes: Type.Integer(),
    outboxMaxEvents: Type.Integer(),
  }),
})
export type MonitorAnswer = Static<typeof MonitorAnswer>
