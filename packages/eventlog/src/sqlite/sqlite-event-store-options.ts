import type { Clock } from '@tributary/protocol'
import type { Synchronous } from './database-file.ts'

/** How often logs are trimmed by age where nothing is appended to them. */
export const DEFAULT_TRIM_INTERVAL_MS = 30_000
/** The newest entries of a log that are in memory; up to twice as many. */
export const DEFAULT_TAIL_MAX_EVENTS = 2_048
/** The same in bytes. */
export const DEFAULT_TAIL_MAX_BYTES = 4_194_304
export const DEFAULT_SYNCHRONOUS: Synchronous = 'normal'

export interface SqliteEventStoreOptions {
  /** The database file; it is made where it is not there, and so is its folder. */
  readonly path: string
  /** Default: the machine's. */
  readonly clock?: Clock
  /** Default `DEFAULT_TRIM_INTERVAL_MS`. */
  readonly trimIntervalMs?: number
  /** What a power loss may take. Default `normal`. */
  readonly synchronous?: Synchronous
  /** How large the file may become; past it appends are refused as on a full disk. Default: as large as that has room. */
  readonly maxFileBytes?: number
  /** How long another process is waited for that has the file open. Default `DEFAULT_LOCK_WAIT_MS`. */
  readonly lockWaitMs?: number
  /** The newest entries of each log that are in memory, and up to twice as many. Default `DEFAULT_TAIL_MAX_EVENTS`. */
  readonly tailMaxEvents?: number
  /** The same in bytes. Default `DEFAULT_TAIL_MAX_BYTES`. */
  readonly tailMaxBytes?: number
  /** Told of each transaction that was stored, how long the first append of it waited for that, in ms. */
  readonly onStored?: (tookMs: number) => void
  /** Told of what failed besides the calls that were answered with it: trimming, checkpoints. */
  readonly onError?: (error: unknown) => void
}
