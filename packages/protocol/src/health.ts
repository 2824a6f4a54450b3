import Type, { type Static } from 'typebox'
import { Acknowledged } from './connection-view.ts'
import { ConsistencyReport } from './consistency.ts'
import { ERROR_CATEGORIES } from './error-code.ts'
import { Name } from './name.ts'

/** Whether a part of a service does what it is there for. */
export const ComponentHealth = Type.Union([
  Type.Object({ status: Type.Literal('ok') }),
  Type.Object({
    status: Type.Enum(['degraded', 'failing']),
    reason: Type.String({ description: 'For people: what is wrong, and what to do.' }),
  }),
])
export type ComponentHealth = Static<typeof ComponentHealth>

const Components = Type.Record(Type.String(), ComponentHealth)

export const HealthAnswer = Type.Object({
  status: Type.Enum(['ok', 'degraded', 'draining']),
  components: Type.Optional(Components),
  nodeId: Type.Optional(Type.String({ description: 'Of this process, where it is one of a cluster.' })),
})
export type HealthAnswer = Static<typeof HealthAnswer>

/** What came of sending an event through the service itself. */
export const ProbeResult = Type.Object({
  ageMs: Type.Number({ description: 'How long ago the event came through.' }),
  tookMs: Type.Number({ description: 'How long it took to.' }),
})
export type ProbeResult = Static<typeof ProbeResult>

export const ReadyAnswer = Type.Object({ status: Type.Literal('ready'), probe: Type.Optional(ProbeResult) })

const Count = (description: string) => Type.Integer({ description })

/** What a gateway has counted since its start, or since it was reset; and how its process is now. */
export const GatewayMetrics = Type.Object({
  activeConnections: Count('Open connections.'),
  totalConnections: Count('Connections that were opened.'),
  eventsPublished: Count('Events that were sent, by whoever: each once.'),
  eventsDispatched: Count('Events that an outbox took as they came: each once for each reader.'),
  eventsDropped: Count('Events that slow readers went without, and were told of.'),
  connectionsRefused: Count('Connections that were refused.'),
  gaps: Count('Times that a reader was told of lost events.'),
  replays: Count('Times that a reader who came back has caught up.'),
  eventsReplayed: Count('The events that these caught up on.'),
  errors: Count('Requests that failed (5xx), and streams that broke off for our or their slowness.'),
  errorsByCategory: Type.Record(Type.Enum(ERROR_CATEGORIES), Count('Requests refused or failed.')),
  errorRate: Type.Number({
    description: 'The part of the last minute’s requests and streams that failed, 0 to 1.',
  }),
  waitingPolls: Count('Polls that wait for an event.'),
  openStreams: Count('Open streams, those of runs among them.'),
  pendingBytes: Count('Bytes that wait for readers.'),
  uptimeMs: Count('How long the process runs.'),
  memory: Type.Object({
    rssBytes: Type.Integer(),
    heapUsedBytes: Type.Integer(),
    heapLimitBytes: Type.Integer(),
    externalBytes: Type.Integer(),
  }),
  eventLoopDelay: Type.Object({ p50Ms: Type.Number(), p99Ms: Type.Number(), maxMs: Type.Number() }),
})
export type GatewayMetrics = Static<typeof GatewayMetrics>

export const ResetAnswer = Type.Object({ success: Type.Literal(true), metrics: GatewayMetrics })

export const GatewayHealthQuery = Type.Object({
  details: Type.Optional(Type.Boolean({ description: 'More, for admins. Default false.' })),
})

/** How a gateway sees one of its workers. */
export const UpstreamView = Type.Object({
  name: Type.String({ description: 'As among the components.' }),
  url: Type.String(),
  state: Type.Enum(['up', 'degraded', 'draining', 'down']),
  streams: Type.Integer({ description: 'Runs that are read from it, or about to be started there.' }),
  tookMs: Type.Optional(Type.Number({ description: 'How long it took to answer.' })),
})
export type UpstreamView = Static<typeof UpstreamView>

/** What a gateway of a cluster has of all connections; or that it did not answer. */
export const NodeShare = Type.Union([
  Type.Object({
    nodeId: Type.String(),
    url: Type.Optional(Type.String()),
    connections: Type.Integer({ description: 'Open connections at this node.' }),
    streams: Type.Integer({ description: 'Open streams there, those of runs among them.' }),
  }),
  Type.Object({
    nodeId: Type.String(),
    url: Type.Optional(Type.String()),
    unreachable: Type.Literal(true),
  }),
])
export type NodeShare = Static<typeof NodeShare>

/** How a gateway is as a whole: `failing` where no event flows, `degraded` where something else is wrong. */
export const GatewayHealth = Type.Object({
  status: Type.Enum(['ok', 'degraded', 'failing']),
  connections: Type.Object({
    total: Type.Integer({
      description: 'On all nodes; while the others cannot be asked, those of the node that answers.',
    }),
    local: Type.Object(
      { total: Type.Integer() },
      { description: 'The share of the node that answers; the rest is of all.' },
    ),
  }),
  errorRate: Type.Number({
    description: 'The part of the last minute’s requests and streams that failed, 0 to 1.',
  }),
  components: Components,
  details: Type.Optional(
    Type.Object({
      metrics: GatewayMetrics,
      upstreams: Type.Array(UpstreamView),
      nodes: Type.Array(NodeShare, { description: 'The share of each gateway.' }),
      probe: Type.Optional(ProbeResult),
      consistency: Type.Optional(ConsistencyReport),
    }),
  ),
})
export type GatewayHealth = Static<typeof GatewayHealth>

/** What an admin may have done about the connections. */
export const HealthAction = Type.Union([
  Type.Object({ action: Type.Literal('health_check') }, { additionalProperties: false }),
  Type.Object({ action: Type.Literal('consistency_check') }, { additionalProperties: false }),
  Type.Object(
    {
      action: Type.Literal('force_disconnect'),
      connectionId: Name,
      reason: Type.Optional(Type.String({ maxLength: 512, description: 'Told to the reader as `message`.' })),
    },
    { additionalProperties: false },
  ),
])
export type HealthAction = Static<typeof HealthAction>

export const HealthActionAnswer = Type.Union([
  Type.Object({
    success: Type.Literal(true),
    action: Type.Literal('health_check'),
    connections: Type.Integer({ description: 'Open connections, on all nodes.' }),
    sent: Type.Integer({ description: 'Those whose outbox took the heartbeat.' }),
    acknowledged: Acknowledged,
    unreachable: Type.Optional(Type.Array(Type.String(), { description: 'Nodes that did not answer.' })),
  }),
  Type.Object({
    success: Type.Literal(true),
    action: Type.Literal('consistency_check'),
    report: ConsistencyReport,
  }),
  Type.Object({
    success: Type.Literal(true),
    action: Type.Literal('force_disconnect'),
    connectionId: Type.String(),
    acknowledged: Acknowledged,
  }),
])
