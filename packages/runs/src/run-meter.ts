import type { FinalRunStatus, RunKind, TaskErrorCode } from '@tributary/protocol'

/** Told of what becomes of runs and their tasks, by whoever counts it. */
export interface RunMeter {
  /** A run was accepted. */
  started(kind: RunKind): void
  /** Its terminal event is stored. */
  ended(kind: RunKind, status: FinalRunStatus, durationMs: number): void
  /** An attempt failed, and another comes. */
  taskRetried(code: TaskErrorCode): void
  /**
   * A task has its final state.
   *
   * @param code why it failed; none: it succeeded. @param durationMs of all attempts; none where it never began.
   */
  taskEnded(code: TaskErrorCode | undefined, durationMs: number | undefined): void
}

/** Counts nothing. */
export const NO_RUN_METER: RunMeter = {
  started: () => undefined,
  ended: () => undefined,
  taskRetried: () => undefined,
  taskEnded: () => undefined,
}
