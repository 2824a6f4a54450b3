import { EVENT_VERSION, type Event, type Metadata, type Priority } from '@tributary/protocol'

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
  /** For who reads it live: it is not stored, for who replays reads at his own pace. */
  readonly conflate: string | undefined
  readonly #json: string

  constructor(event: Omit<Event, 'data' | 'version'>, json: string, conflate?: string) {
    const { id, type, timestamp, priority, source, metadata } = event
    this.id = id
    this.type = type
    this.timestamp = timestamp
    this.priority = priority
    this.source = source
    if (metadata !== undefined) this.metadata = metadata
    this.conflate = conflate
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
