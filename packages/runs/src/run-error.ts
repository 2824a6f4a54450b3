import { StoreUnavailableError } from '@tributary/eventlog'
import type { FinalRunStatus, TaskErrorCode } from '@tributary/protocol'

/** Why a run's work was stopped before its end; the reason of the run's abort signal. */
export class RunAbort extends Error {
  override readonly name = 'RunAbort'
  readonly code: TaskErrorCode
  /** The state that the run ends in. Default: by what became of its tasks. */
  readonly status: FinalRunStatus | undefined
  readonly retryable = false

  private constructor(message: string, code: TaskErrorCode, status?: FinalRunStatus) {
    super(message)
    this.code = code
    this.status = status
  }

  static cancelled(message = 'The run was cancelled'): RunAbort {
    return new RunAbort(message, 'cancelled', 'cancelled')
  }

  static deadlineExceeded(deadlineMs: number): RunAbort {
    return new RunAbort(`The run did not end within ${deadlineMs} ms`, 'deadline_exceeded', 'expired')
  }

  static workerLost(nodes: number): RunAbort {
    const message = `${nodes} nodes in a row ended in the midst of the run, which came no further; it is not tried again`
    return new RunAbort(message, 'worker_lost')
  }
}

/** This process has stopped to work at a run, which is stored as it stands: whoever is next goes on with it. */
export class RunSuspendedError extends Error {
  override readonly name = 'RunSuspendedError'
  readonly code = 'run_suspended'
  readonly retryable = true

  constructor() {
    super('The run was put down, to be gone on with after the restart')
  }
}

/** A run is not found, and cannot be said not to be there: a failover may have lost it, and its node is about to put it back. */
export class UnsureRunError extends StoreUnavailableError {
  constructor(runId: string) {
    super(`Redis was away a moment ago, and what nodes have of ${JSON.stringify(runId)} may not be there yet`)
  }
}

/** Thrown by who rebuilds the work of a run: this node cannot do it, and another can. The run is left to that one. */
export class RunElsewhereError extends Error {
  override readonly name = 'RunElsewhereError'
  readonly code = 'run_elsewhere'
  readonly retryable = true
}
