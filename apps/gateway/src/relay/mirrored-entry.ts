import { type LogEntry, StoredEvent } from '@tributary/eventlog'
import { EventEnvelope, parseEventId, type WireEvent } from '@tributary/protocol'
import { Compile } from 'typebox/compile'

const envelope = Compile(EventEnvelope)

/**
 * An event of a worker's log as it came on a stream of `?format=envelope`; `undefined` for control frames, which are
 * for one connection, and this connection is ours.
 */
export function mirroredEntry(event: WireEvent): LogEntry | undefined {
  const position = event.id === undefined ? undefined : parseEventId(event.id)
  if (position === undefined || position.n === 0) return undefined
  const data: unknown = JSON.parse(event.data)
  if (!envelope.Check(data) || data.id === null) return undefined
  const { id, type, timestamp, priority, source, metadata } = data
  const head = { id, type, timestamp, priority, source, ...(metadata === undefined ? {} : { metadata }) }
  return {
    position: { ms: position.ms, n: position.n },
    event: new StoredEvent(head, JSON.stringify(data.data)),
    audience: undefined,
    topics: [],
    frames: undefined,
  }
}
