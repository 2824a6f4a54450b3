import type { Cluster } from '@tributary/cluster'
import type { EventStore } from '@tributary/eventlog'
import type { Clock, Metadata, Priority, Where } from '@tributary/protocol'
import type { StreamServer } from '@tributary/sse'
import type { Connection } from './connection.ts'
import type { ConnectionObserver } from './connection-observer.ts'
import type { HistoryOptions } from './history-retention.ts'
import type { HubMeter } from './hub-meter.ts'
import type { ConnectionRegistry } from './registry/connection-registry.ts'
import type { SendOnce } from './send-once.ts'
import type { UserLimitOptions } from './user-limit.ts'

export const DEFAULT_NAMESPACE = 'hub'
export const DEFAULT_SOURCE = 'gateway'
export const DEFAULT_STREAM_TIMEOUT_MS = 300_000
export const DEFAULT_STREAM_MAX_TIMEOUT_MS = 3_600_000
export const DEFAULT_MAX_EVENT_BYTES = 131_072
/** More than twice what a reader is told to wait before he comes back. */
export const DEFAULT_PRESENCE_GRACE_MS = 10_000

export interface HubOptions extends HistoryOptions, UserLimitOptions {
  /** Where its log lives. */
  readonly store: EventStore
  /** Names its log in the store. Default `hub`. */
  readonly namespace?: string
  /** Default: the machine's. */
  readonly clock?: Clock
  /**
   * What heartbeats, bounds and timeouts its streams share, and how many there may be in all, from one address and in a
   * second. Default: one of its own, for 10,000 streams.
   */
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
  /** How long the key of a send is remembered, in ms. Default a day. */
  readonly idempotencyWindowMs?: number
  /** Polls that wait at a time. Default 20,000; one more is refused as `overloaded`. */
  readonly maxWaitingPolls?: number
  /** The nodes that it is one of. Default: it is alone. */
  readonly cluster?: Cluster
  /**
   * Who is connected, over all nodes; it keeps presence by rules of its own. Default: those of this process, by
   * `presenceGraceMs`, kept with the log.
   */
  readonly registry?: ConnectionRegistry
  /** Connections of all nodes together. Default 0: no limit; beyond it `too_many_connections`. */
  readonly maxConnectionsCluster?: number
  /** How long a user may take to come back before he has left his groups, in ms. Default 10 s. */
  readonly presenceGraceMs?: number
  /** The keys of a connection's metadata that others may see in `presenceOfGroup`. Default: none. */
  readonly presenceMetadata?: readonly string[]
  /** Told of who connects, comes and goes, whoever asks for presence. Default: nobody. */
  readonly observer?: ConnectionObserver
  /** Default: nothing is counted beyond `stats()`. */
  readonly meter?: HubMeter
  /** Called where a callback of a connection threw or rejected. Default: a warning of the process. */
  readonly onCallbackError?: (error: unknown, connection: Connection) => void
}

/** What a publisher may say besides the event's name and data. */
export interface SendOptions {
  readonly priority?: Priority
  readonly metadata?: Metadata
  /**
   * What it is the latest of, as `price:ACME`. Where an earlier one of the same key still waits for a slow reader, it
   * takes its place.
   */
  readonly conflate?: string
  /** For the streams that are live now: neither stored nor resumed, without an id. Default false. */
  readonly ephemeral?: boolean
  readonly source?: string
  /** Narrows whom it is for. */
  readonly where?: Where
  /** So that the same send, asked for again, sends nothing and answers the same id. */
  readonly once?: SendOnce
}

/** What the hub counts. */
export interface HubStats {
  readonly activeConnections: number
  /** Those that were ever opened. */
  readonly totalConnections: number
  /** Connections that were refused. */
  readonly connectionsRefused: number
  /** Events that were sent, each once; what was sent before with the same key is not sent again. */
  readonly eventsPublished: number
  /** Live events that an outbox took, each once for each outbox. */
  readonly eventsDispatched: number
  /** Events of low priority that slow readers went without, and were told of. */
  readonly eventsDropped: number
  /** Polls that wait for an event. */
  readonly waitingPolls: number
}
