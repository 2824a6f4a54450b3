import { type ConsistencyFault, sharedTopics, type Topic } from '@tributary/protocol'
import type { StreamServer } from '@tributary/sse'
import type { Connection } from './connection.ts'
import type { ConnectionIndex } from './connection-index.ts'

/** The longest that a connection may take to open, in ms: it waits for its turn to read, and for a store that is slow. */
const OPENING_MS = 60_000

export interface HubFaultsOptions {
  readonly index: ConnectionIndex
  readonly streams: StreamServer
  /** Milliseconds since 1970. */
  readonly now: number
}

/** What of a hub's connections does not fit to their streams, or to what they are found by. Looks at each. */
export function hubFaults(options: HubFaultsOptions): ConsistencyFault[] {
  return [...faultsOfConnections(options), ...faultsOfTopics(options.index)]
}

function* faultsOfConnections({ index, streams, now }: HubFaultsOptions): Iterable<ConsistencyFault> {
  for (const connection of index.all()) {
    const detail = faultOf(connection, streams, now)
    if (detail === undefined) continue
    const correct = () => {
      connection.end('busy')
      connection.slot?.release()
      index.remove(connection)
    }
    yield { kind: 'leaked_connection', id: connection.connectionId, detail, correct }
  }
}

function faultOf(
  { stream, connectedAt }: Connection,
  streams: StreamServer,
  now: number,
): string | undefined {
  if (stream === undefined)
    return now - connectedAt > OPENING_MS ? 'a connection that never came to stand' : undefined
  return streams.has(stream) ? undefined : 'a connection whose stream has ended'
}

function* faultsOfTopics(index: ConnectionIndex): Iterable<ConsistencyFault> {
  const owed = new Map<Connection, Set<Topic>>()
  for (const connection of index.all()) owed.set(connection, new Set(sharedTopics(connection)))
  for (const [topic, connection] of index.entries()) {
    if (owed.get(connection)?.delete(topic)) continue
    const detail = `it is found under ${JSON.stringify(topic)}, where it is no more`
    const correct = () => index.removeUnder(topic, connection)
    yield { kind: 'leaked_subscription', id: `${connection.connectionId} ${topic}`, detail, correct }
  }
  for (const [connection, topics] of owed) {
    for (const topic of topics) {
      const detail = `it is not found under ${JSON.stringify(topic)}, and gets nothing of what is sent there`
      const correct = () => index.restore(connection)
      yield { kind: 'lost_subscription', id: `${connection.connectionId} ${topic}`, detail, correct }
    }
  }
}
