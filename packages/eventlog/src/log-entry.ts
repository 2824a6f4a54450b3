import {
  type Audience,
  audienceTopics,
  type Metadata,
  type NewEvent,
  type Position,
  type Priority,
  singleLine,
  type Topic,
} from '@tributary/protocol'
import type { LogEntry } from './event-log.ts'
import { StoredEvent } from './stored-event.ts'

const NO_TOPICS: readonly string[] = []

/** An entry that has no place yet: written out, so that nothing is wrong with it any more. */
export interface EntryDraft {
  readonly type: string
  readonly source: string
  readonly priority: Priority
  readonly metadata: Metadata | undefined
  readonly conflate: string | undefined
  readonly json: string
  readonly audience: Audience | undefined
  readonly topics: readonly Topic[]
}

/** @throws FrameError on a type that no frame can carry; TypeError on data that is no JSON. */
export function entryDraft(event: NewEvent, audience: Audience | undefined): EntryDraft {
  const { data, source, priority = 'normal', metadata, conflate } = event
  const json = event.json ?? JSON.stringify(data) ?? 'null'
  const type = singleLine('event', event.type)
  const topics = audience === undefined ? NO_TOPICS : audienceTopics(audience)
  return { type, source, priority, metadata, conflate, json, audience, topics }
}

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
