import { type LogEntry, StoredEvent } from '@tributary/eventlog'
import { EventEnvelope, type Position, parseEventId, type WireEvent } from '@tributary/protocol'
import { Compile } from 'typebox/compile'

const envelope = Compile(EventEnvelope)

/** An envelope of a log as a worker writes it: without metadata, and up to its data, which comes last. */
const HEAD =
  /^\{"id":"((?:[\w-]{1,64}\.)?(\d{1,15})-(\d{1,15}))","type":"([^"\\]+)","timestamp":(\d+),"priority":"([^"\\]+)","source":"([^"\\]*)","version":"([^"\\]+)","data":/

const NO_TOPICS: readonly string[] = []

/**
 * An event of a worker's log as it came on a stream of `?format=envelope`; `undefined` for control frames, which are
 * for one connection, and this connection is ours.
 */
export function mirroredEntry({ id, data: text }: WireEvent): LogEntry | undefined {
  if (id === undefined) return undefined
  const said = cut(text) ?? takenApart(text, id)
  if (said === undefined || said.position.n === 0) return undefined
  const { head, position, json } = said
  if (!envelope.Check(head) || head.id !== id) return undefined
  const event = new StoredEvent({ ...head, id }, json)
  return { position, event, audience: undefined, topics: NO_TOPICS, frames: undefined }
}

/** An envelope to be checked, and what is needed of it. */
interface TakenApart {
  readonly head: unknown
  readonly position: Position
  readonly json: string
}

/**
 * Cuts the data out without reading it: to parse it and to write it anew would take longer than all the rest of a
 * relay. Readers get it as the worker wrote it, as they would from the worker itself.
 */
function cut(text: string): TakenApart | undefined {
  const match = HEAD.exec(text)
  if (match === null) return undefined
  const [before, id, ms, n, type, timestamp, priority, source, version] = match
  const head = { id, type, timestamp: Number(timestamp), priority, source, version, data: undefined }
  return { head, position: { ms: Number(ms), n: Number(n) }, json: text.slice(before.length, -1) }
}

function takenApart(text: string, id: string): TakenApart | undefined {
  const position = parseEventId(id)
  if (position === undefined) return undefined
  const head: unknown = JSON.parse(text)
  const data = typeof head === 'object' && head !== null && 'data' in head ? head.data : null
  return { head, position: { ms: position.ms, n: position.n }, json: JSON.stringify(data) }
}
