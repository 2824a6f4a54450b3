import type { Clock } from '@tributary/protocol'
import type { RedisConnections } from '@tributary/redis'
import type { OutageLimits } from './append/outage-buffer.ts'

/** How often a node compares what it has handed on of a log with what is there. */
export const DEFAULT_SYNC_INTERVAL_MS = 2_000
/** How many logs a node compares so in a second at most. */
export const DEFAULT_SYNCS_MAX_PER_S = 500
/** How often logs are trimmed by age. Any node does it for all. */
export const DEFAULT_TRIM_INTERVAL_MS = 30_000
/** How long an append that failed with its connection is tried again. */
export const DEFAULT_RETRY_MS = 2_000
/** The newest entries of a log that are in memory of those that are followed; up to twice as many. */
export const DEFAULT_TAIL_MAX_EVENTS = 2_048
/** The same in bytes. */
export const DEFAULT_TAIL_MAX_BYTES = 4_194_304

export interface RedisEventStoreOptions {
  readonly connections: RedisConnections
  /** What all names in Redis begin with, as `REDIS_PREFIX`. */
  readonly prefix: string
  /** For tests: it makes the times of events, too. Default: the machine's for timers, and that of Redis for events. */
  readonly clock?: Clock
  /** Default `DEFAULT_SYNC_INTERVAL_MS`. */
  readonly syncIntervalMs?: number
  /** Beyond it the interval is longer for all. Default `DEFAULT_SYNCS_MAX_PER_S`. */
  readonly syncsMaxPerS?: number
  /** Default `DEFAULT_TRIM_INTERVAL_MS`. */
  readonly trimIntervalMs?: number
  /** How long an append whose connection ended is tried again before it fails. Default `DEFAULT_RETRY_MS`. */
  readonly retryMs?: number
  /**
   * What of each log may wait, handed on here already, while Redis is away: `REDIS_OUTAGE=buffer`. Default: nothing, it is
   * refused.
   */
  readonly outage?: OutageLimits
  /** How long a close waits for a Redis that is away, where something waits to be stored, in ms. Default 0. */
  readonly lastWaitMs?: number
  /** Default `DEFAULT_TAIL_MAX_EVENTS`. */
  readonly tailMaxEvents?: number
  /** Default `DEFAULT_TAIL_MAX_BYTES`. */
  readonly tailMaxBytes?: number
  /** Told of each append that was stored, how long it took, in ms. */
  readonly onStored?: (tookMs: number) => void
  /** Told by a close how many events wait for a Redis that is away, before it waits, and then which of them are lost. */
  readonly onUnstored?: (events: number, isLost: boolean) => void
  /** Told of what failed besides the calls that were answered with it. */
  readonly onError?: (error: unknown) => void
}
