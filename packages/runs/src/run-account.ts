import type { FinalRunStatus, TaskErrorCode } from '@tributary/protocol'
import { type RunEnd, type RunOutcome, runEnd } from './run-end.ts'
import type { RunRecord } from './run-record.ts'

/** Gives each task that has none its final state, and answers what the run came to. */
export type SettleTasks = (error: string, code: TaskErrorCode) => RunOutcome

export interface TaskCounts {
  readonly totalTasks?: number
  readonly successCount: number
  readonly errorCount: number
}

/** How far a run is, and what it came to. */
export class RunAccount {
  #record: RunRecord
  #end: RunEnd | undefined
  #settleTasks: SettleTasks | undefined

  constructor(record: RunRecord) {
    this.#record = record
  }

  /** As it would be stored now. */
  get record(): RunRecord {
    return this.#end?.record ?? this.#record
  }

  /** Decided once, whatever becomes of the append. */
  get end(): RunEnd | undefined {
    return this.#end
  }

  count(counts: TaskCounts): void {
    this.#record = { ...this.#record, ...counts }
  }

  /** For whoever keeps its tasks: what to call where the work cannot give them their final states itself. */
  settleWith(settleTasks: SettleTasks): void {
    this.#settleTasks = settleTasks
  }

  /** What it came to where its work is given up. */
  settle(error: string, code: TaskErrorCode): RunOutcome {
    if (this.#settleTasks !== undefined) return this.#settleTasks(error, code)
    const { totalTasks, successCount } = this.#record
    return { totalTasks, successCount, errorCount: Math.max(0, totalTasks - successCount), errors: [] }
  }

  /** Decides how it ended; the first time counts. */
  close(
    runId: string,
    outcome: RunOutcome,
    ended: { at: number; status?: FinalRunStatus | undefined },
  ): RunEnd {
    this.#end ??= runEnd(runId, this.#record, outcome, ended)
    // A run is kept for a day; what kept its tasks need not be.
    this.#settleTasks = undefined
    return this.#end
  }
}
