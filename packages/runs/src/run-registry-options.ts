import type { EventStore } from '@tributary/eventlog'
import type { Clock } from '@tributary/protocol'
import type { UserQuota } from '@tributary/quota'
import type { RunWork } from './execute-run.ts'
import type { KnownRun } from './known-run.ts'
import type { Run } from './run.ts'
import type { RunIndex } from './run-index.ts'
import type { RunMeter } from './run-meter.ts'
import type { RunQueue } from './run-queue.ts'
import type { NewRun } from './run-record.ts'

export const DEFAULT_RUN_MAX_EVENTS = 100_000
export const DEFAULT_RUN_MAX_AGE_MS = 86_400_000
export const DEFAULT_RUN_MAX_COUNT = 10_000
export const DEFAULT_RUN_MAX_TAKEOVERS = 5
export const DEFAULT_DISCONNECT_GRACE_MS = 10_000

/** What makes the registries of several nodes one fleet. Whoever opened it closes it, after the registry. */
export interface RunFleet {
  readonly index: RunIndex
  readonly queue: RunQueue
}

export interface RunRegistryOptions {
  readonly store: EventStore
  readonly clock: Clock
  /** The `source` of the runs' events. */
  readonly source: string
  /** Those of all nodes that share the store. Default: this process has the store for itself. */
  readonly fleet?: RunFleet | undefined
  /** Events kept of a run. Default 100,000. */
  readonly maxEvents?: number
  /** How long a finished run is kept, in ms. Default a day. */
  readonly maxAgeMs?: number
  /** Finished runs kept. Default 10,000; the oldest go first. */
  readonly maxCount?: number
  /**
   * How often a run of a fleet is taken over from a node that is gone while it comes no further. Default 5; then what is
   * unfinished of it fails.
   */
  readonly maxTakeovers?: number
  /** How many runs, and open tasks of them, one user may have. What it weighs are the tasks. Default: any number. */
  readonly quota?: UserQuota
  /** How long work may take to stop once it is told to, in ms. Default 5,000; then the run ends without it. */
  readonly abortGraceMs?: number
  /** How long a run that ends with its readers waits for one to come back, in ms. Default 10,000. */
  readonly disconnectGraceMs?: number
  /** Default: nothing is counted. */
  readonly meter?: RunMeter
  /** Called where the work of a run threw or did not stop, which its readers are told too, or its log failed. */
  readonly onError?: (error: unknown, runId: string) => void
}

export interface StartOptions extends NewRun {
  /**
   * Whether any node may execute it, from what it was asked for. Default: the one that accepts it does, as long as that
   * lives.
   */
  readonly anywhere?: boolean
  /** What its work is built from again after a restart, as JSON. Stored until it ends. */
  readonly request?: unknown
  /** What has to succeed before the run is accepted, once it is stored. Where it throws, there was no run. */
  readonly prepare?: (run: Run) => Promise<void>
  /**
   * Ends what was prepared for a run that was not accepted after all. Not called in a fleet where it was asked for with a
   * key: what is prepared under the name of `preparedAs` is found there by who asks for the same again.
   */
  readonly abandon?: () => Promise<void>
}

/** A run that was asked for with a key. */
export interface StartedOnce {
  readonly run: KnownRun
  /** Whether an earlier request with this key started it. */
  readonly replayed: boolean
}

/**
 * Builds the work of a run that another process began, from what it was asked for. @throws RunElsewhereError where
 * another node has what it takes; where it throws anything else, the run fails with it.
 */
export type RebuildWork = (run: Run, request: unknown) => Promise<RunWork> | RunWork
