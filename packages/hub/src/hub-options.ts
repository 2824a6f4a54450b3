import type { EventStore } from '@tributary/eventlog'
import type { Clock, Metadata, Priority, Where } from '@tributary/protocol'
import type { StreamServer } from '@tributary/sse'
import type { Connection } from './connection.ts'

export const DEFAULT_NAMESPACE = 'hub'
export const DEFAULT_SOURCE = 'gateway'
export const DEFAULT_STREAM_TIMEOUT_MS = 300_000
export const DEFAULT_STREAM_MAX_TIMEOUT_MS = 3_600_000
export const DEFAULT_MAX_EVENT_BYTES = 131_072

export interface HubOptions {
  /** Where its log lives. */
  readonly store: EventStore
  /** Names its log in the store. Default `hub`. */
  readonly namespace?: string
  /** Default: the machine's. */
  readonly clock?: Clock
  /** What heartbeats, bounds and timeouts its streams share. Default: one of its own. */
  readonly streams?: StreamServer
  /** The `source` of events that name none. Default `gateway`. */
  readonly source?: string
  /**
   * What happens to a second connection of the same id, also while the first is still being opened: it is
   * refused, or the first is ended as `replaced`. Default `refuse`.
   */
  readonly duplicateConnection?: 'refuse' | 'replace'
  /** How long a stream lasts that asks for no other time, in ms. Default 5 minutes. */
  readonly timeoutMs?: number
  /** How long a stream may ask to last, in ms. Default 1 hour. */
  readonly maxTimeoutMs?: number
  /** Bytes of an event's data and metadata, as JSON. Default 131,072. */
  readonly maxEventBytes?: number
  /** Events kept of a topic. Default 1,000. */
  readonly historyMaxEvents?: number
  /** How long they are kept, in ms. Default 5 minutes. */
  readonly historyMaxAgeMs?: number
  /** The same for the topics of users: the queue of who is away. Default a day. */
  readonly historyUserMaxAgeMs?: number
  /** Called where a callback of a connection threw or rejected. Default: a warning of the process. */
  readonly onCallbackError?: (error: unknown, connection: Connection) => void
}

/** What a publisher may say besides the event's name and data. */
export interface SendOptions {
  readonly priority?: Priority
  readonly metadata?: Metadata
  /** For the streams that are live now: neither stored nor resumed, without an id. Default false. */
  readonly ephemeral?: boolean
  readonly source?: string
  /** Narrows whom it is for. */
  readonly where?: Where
}

/** What the hub counts. */
export interface HubStats {
  readonly activeConnections: number
  /** Those that were ever opened. */
  readonly totalConnections: number
  /** Live events that an outbox took, each once for each outbox. */
  readonly eventsDispatched: number
}
