import type { Clock } from '@tributary/protocol'
import { DisconnectGraces } from './disconnect-graces.ts'
import { executeRun, type RunWork } from './execute-run.ts'
import type { OwnedRun } from './owned-run.ts'
import { RunAbort } from './run-error.ts'

export interface RunningRunsOptions {
  readonly clock: Clock
  /** How long a run that is to be cancelled with its last reader waits for another. */
  readonly disconnectGraceMs: number
  /** As `ExecuteOptions`. */
  readonly abortGraceMs?: number | undefined
  readonly onError: (error: unknown, runId: string) => void
}

/** The runs whose work is under way: each until it ends, its deadline passes, or nobody reads it any more. */
export class RunningRuns {
  readonly #options: RunningRunsOptions
  readonly #graces: DisconnectGraces

  constructor(options: RunningRunsOptions) {
    this.#options = options
    const { clock, disconnectGraceMs } = options
    this.#graces = new DisconnectGraces(clock, disconnectGraceMs, (run) =>
      run.abort(RunAbort.cancelled('Nobody reads the run any more')),
    )
  }

  /** Notes that a run's last reader has left. */
  onUnread(run: OwnedRun): void {
    this.#graces.begin(run)
  }

  /** Resolves once this process has done with it. */
  async execute(run: OwnedRun, work: RunWork): Promise<void> {
    const { clock, abortGraceMs, onError } = this.#options
    const cancelDeadline = this.#setDeadline(run)
    // Nobody reads it yet, or after a restart any more; who wants it comes, or comes back.
    if (run.readerCount === 0) this.#graces.begin(run)
    await executeRun(run, work, {
      clock,
      ...(abortGraceMs === undefined ? {} : { abortGraceMs }),
      onError: (error) => onError(error, run.id),
    })
    cancelDeadline()
    this.#graces.end(run)
  }

  /** Counted from the start of the run, whoever started it. */
  #setDeadline(run: OwnedRun): () => void {
    const { clock } = this.#options
    const { deadlineMs } = run.record
    if (deadlineMs === undefined) return () => undefined
    const expire = () => void run.abort(RunAbort.deadlineExceeded(deadlineMs))
    const leftMs = run.startedAt + deadlineMs - clock.now()
    if (leftMs > 0) return clock.after(leftMs, expire)
    expire()
    return () => undefined
  }
}
