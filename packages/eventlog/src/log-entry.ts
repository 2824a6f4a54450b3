import { type Audience, audienceTopics, type NewEvent, type Position, singleLine } from '@tributary/protocol'
import type { LogEntry } from './event-log.ts'
import { StoredEvent } from './stored-event.ts'

const NO_TOPICS: readonly string[] = []

/** The entry of an event that gets this place and this id. @throws FrameError on a type that no frame can carry. */
export function logEntry(
  event: NewEvent,
  audience: Audience | undefined,
  position: Position,
  id: string,
): LogEntry {
  const { type, data, source, priority = 'normal', metadata } = event
  const json = event.json ?? JSON.stringify(data) ?? 'null'
  const head = { id, type: singleLine('event', type), timestamp: position.ms, priority, source }
  const stored = new StoredEvent(metadata === undefined ? head : { ...head, metadata }, json)
  const topics = audience === undefined ? NO_TOPICS : audienceTopics(audience)
  return { position, event: stored, audience, topics, frames: undefined }
}
