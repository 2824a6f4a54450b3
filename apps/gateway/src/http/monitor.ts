import type { Connection } from '@tributary/hub'
import { DEFAULT_MONITOR_LIMIT, MonitorAnswer, MonitorQuery } from '@tributary/protocol'
import type { App } from '@tributary/service'
import type { Deps } from '../deps.ts'

/** The route that shows an admin the connections, and what bounds them. */
export function addMonitor(app: App, deps: Deps): void {
  app.get(
    '/api/realtime/monitor',
    {
      config: { watching: true, whileDraining: 'serve' },
      schema: {
        tags: ['connections'],
        summary: 'The connections, how they do, and the limits. For admins.',
        description:
          'The oldest first, a page at a time. One that has been told why it ends is there until its socket is closed. ' +
          '`DELETE /api/sse/managed/connections/:id` closes one.',
        querystring: MonitorQuery,
        response: { 200: MonitorAnswer },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      return monitor(request.query, deps)
    },
  )
}

function monitor(query: MonitorQuery, { hub, streams, clock, config }: Deps): MonitorAnswer {
  const all = [...hub.local.connections(), ...hub.local.leavingConnections()].toSorted(byAge)
  const { connections, next } = pageOf(all, query)
  const [oldest] = all
  const largest = largestOutbox(all)
  return {
    timestamp: clock.now(),
    connections: connections.map((connection) => hub.local.view(connection)),
    ...(next === undefined ? {} : { next }),
    totals: {
      connections: hub.local.count(),
      byState: hub.local.status().connectionStates,
      byTransport: { sse: hub.local.count() },
      streams: streams.size,
      waitingPolls: hub.stats().waitingPolls + streams.waitingPolls,
    },
    ...(oldest === undefined
      ? {}
      : { oldest: { connectionId: oldest.connectionId, connectedAt: oldest.connectedAt } }),
    ...(largest === undefined ? {} : { largestOutbox: largest }),
    limits: {
      maxConnections: streams.limits.maxStreams,
      maxConnectionsPerUser: hub.userLimit.maxConnectionsPerUser,
      connectionLimitPolicy: hub.userLimit.connectionLimitPolicy,
      maxConnectionsPerAddress: streams.limits.maxStreamsPerAddress,
      connectRatePerS: streams.limits.streamsPerS,
      outboxMaxBytes: config.OUTBOX_MAX_BYTES,
      outboxMaxEvents: config.OUTBOX_MAX_EVENTS,
    },
  }
}

/** The connections that are asked for, from where the page before ended. */
function pageOf(sorted: readonly Connection[], query: MonitorQuery) {
  const { state, user, group, limit = DEFAULT_MONITOR_LIMIT, after } = query
  const isAfter = after === undefined ? () => true : laterThan(after)
  const found = sorted
    .values()
    .filter(
      (connection) =>
        (state === undefined || connection.state === state) &&
        (user === undefined || connection.userId === user) &&
        (group === undefined || connection.groups.has(group)) &&
        isAfter(connection),
    )
    .take(limit + 1)
    .toArray()
  const connections = found.slice(0, limit)
  const last = connections.at(-1)
  return { connections, next: found.length > limit && last !== undefined ? placeOf(last) : undefined }
}

/** Where a connection stands in the order, also when it has gone by the time that somebody comes back with it. */
function placeOf({ connectedAt, connectionId }: Connection): string {
  return `${connectedAt}-${connectionId}`
}

function laterThan(place: string): (connection: Connection) => boolean {
  const dash = place.indexOf('-')
  const connectedAt = Number(place.slice(0, dash))
  const connectionId = place.slice(dash + 1)
  return (connection) => byAge(connection, { connectedAt, connectionId }) > 0
}

type Aged = Pick<Connection, 'connectedAt' | 'connectionId'>

function byAge(a: Aged, b: Aged): number {
  if (a.connectedAt !== b.connectedAt) return a.connectedAt - b.connectedAt
  return a.connectionId < b.connectionId ? -1 : a.connectionId > b.connectionId ? 1 : 0
}

function largestOutbox(connections: readonly Connection[]): MonitorAnswer['largestOutbox'] {
  let largest: MonitorAnswer['largestOutbox']
  for (const { connectionId, stream } of connections) {
    const bytes = stream?.stream.pendingBytes ?? 0
    if (bytes > (largest?.bytes ?? 0)) largest = { connectionId, bytes }
  }
  return largest
}
