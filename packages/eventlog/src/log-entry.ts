import {
  type Audience,
  audienceTopics,
  EVENT_VERSION,
  type Event,
  type Metadata,
  type NewEvent,
  type Position,
  type Priority,
} from '@tributary/protocol'
import type { LogEntry } from './event-log.ts'

const NO_TOPICS: readonly string[] = []

/**
 * An event as a log keeps it: its data as JSON, so that nothing done to an object later can change what was
 * said, and so that a log of many small objects weighs what it says and no more.
 */
export class StoredEvent implements Event {
  readonly id: string
  readonly type: string
  readonly timestamp: number
  readonly priority: Priority
  readonly source: string
  readonly version = EVENT_VERSION
  readonly metadata?: Metadata
  readonly #json: string

  constructor(event: Omit<Event, 'data' | 'version'>, json: string) {
    const { id, type, timestamp, priority, source, metadata } = event
    this.id = id
    this.type = type
    this.timestamp = timestamp
    this.priority = priority
    this.source = source
    if (metadata !== undefined) this.metadata = metadata
    this.#json = json
  }

  /** Parsed anew each time it is asked for; whoever passes it on as JSON takes `json`. */
  get data(): unknown {
    return JSON.parse(this.#json)
  }

  get json(): string {
    return this.#json
  }
}

/** The entry of an event that gets this place and this id. */
export function logEntry(
  event: NewEvent,
  audience: Audience | undefined,
  position: Position,
  id: string,
): LogEntry {
  const { type, data, source, priority = 'normal', metadata } = event
  const json = event.json ?? JSON.stringify(data) ?? 'null'
  const head = { id, type, timestamp: position.ms, priority, source }
  const stored = new StoredEvent(metadata === undefined ? head : { ...head, metadata }, json)
  const topics = audience === undefined ? NO_TOPICS : audienceTopics(audience)
  return { position, event: stored, audience, topics, frames: undefined }
}
