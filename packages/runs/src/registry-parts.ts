import type { EventLog } from '@tributary/eventlog'
import type { NodeRuns } from './node-runs.ts'
import { OwnedRun } from './owned-run.ts'
import type { RunIndex } from './run-index.ts'
import { NO_RUN_METER } from './run-meter.ts'
import type { RunQueue } from './run-queue.ts'
import type { RunRecord } from './run-record.ts'
import type { RunRecords } from './run-records.ts'
import { DEFAULT_RUN_MAX_EVENTS, type RunRegistryOptions } from './run-registry-options.ts'
import type { Takeover } from './takeovers.ts'

/** What those who do the work of a registry share. */
export interface RegistryParts {
  readonly options: RunRegistryOptions
  readonly records: RunRecords
  readonly index: RunIndex
  readonly queue: RunQueue
  /** Those that this node works at. */
  readonly node: NodeRuns
  /** Whether nothing more is taken or begun. */
  readonly isDraining: () => boolean
  readonly report: (error: unknown, runId: string) => void
}

export interface RunState {
  readonly log: EventLog
  readonly record: RunRecord
  /** As `RunOptions`. */
  readonly takeover?: Takeover
}

/** A run that is about to be this node's. */
export function runOf({ options, node, queue }: RegistryParts, runId: string, state: RunState): OwnedRun {
  const { source, clock, maxEvents = DEFAULT_RUN_MAX_EVENTS, meter = NO_RUN_METER } = options
  const onUnread = () => node.onUnread(run)
  const mayBeReplaced = () => queue.mayBeReplaced()
  const run = new OwnedRun({ runId, ...state, maxEvents, source, clock, meter, onUnread, mayBeReplaced })
  return run
}
