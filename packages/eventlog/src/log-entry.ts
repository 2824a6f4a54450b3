import type { Audience, NewEvent, Position } from '@tributary/protocol'
import { type EntryDraft, entryDraft } from './entry-draft.ts'
import type { LogEntry } from './event-log.ts'
import { StoredEvent } from './stored-event.ts'

/** The entry of a draft that gets this place and this id. */
export function placedEntry(draft: EntryDraft, position: Position, id: string): LogEntry {
  const { type, source, priority, metadata, conflate, json, audience, topics } = draft
  const head = { id, type, timestamp: position.ms, priority, source }
  const stored = new StoredEvent(metadata === undefined ? head : { ...head, metadata }, json, conflate)
  return { position, event: stored, audience, topics, frames: undefined }
}

/** The entry of an event that gets this place and this id. @throws as `entryDraft` */
export function logEntry(
  event: NewEvent,
  audience: Audience | undefined,
  position: Position,
  id: string,
): LogEntry {
  return placedEntry(entryDraft(event, audience), position, id)
}
