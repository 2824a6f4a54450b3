import type { Clock } from '@tributary/protocol'
import type { RunWork } from './execute-run.ts'
import type { OwnedRun } from './owned-run.ts'
import type { ReaderMarks } from './reader-marks.ts'
import { RECORD } from './run-attributes.ts'
import { RunAbort } from './run-error.ts'
import type { RunIndex } from './run-index.ts'
import type { RunHold, RunRest } from './run-queue.ts'
import { parseRunRecord } from './run-record.ts'
import { RunningRuns } from './running-runs.ts'
import type { UserRuns } from './user-runs.ts'

export interface NodeRunsOptions {
  readonly clock: Clock
  readonly index: RunIndex
  readonly userRuns: UserRuns
  /** Whether there are other nodes, who may take a run over or have something noted with it. */
  readonly shared: boolean
  readonly marks: ReaderMarks
  /** As `RunningRunsOptions`. */
  readonly abortGraceMs?: number | undefined
  readonly disconnectGraceMs: number
  /** Called after each run that has ended. Must not throw. */
  readonly onEnded: () => Promise<void>
  readonly onError: (error: unknown, runId: string) => void
}

/** The runs that this node works at, or is to go on with. */
export class NodeRuns {
  readonly #options: NodeRunsOptions
  readonly #runs = new Map<string, OwnedRun>()
  readonly #executing = new Map<OwnedRun, Promise<RunRest>>()
  readonly #running: RunningRuns

  constructor(options: NodeRunsOptions) {
    this.#options = options
    this.#running = new RunningRuns(options)
  }

  get size(): number {
    return this.#runs.size
  }

  /** Those whose work is under way. */
  get runningCount(): number {
    return this.#executing.size
  }

  get(runId: string): OwnedRun | undefined {
    return this.#runs.get(runId)
  }

  values(): IteratorObject<OwnedRun> {
    return this.#runs.values()
  }

  isExecuting(run: OwnedRun): boolean {
    return this.#executing.has(run)
  }

  /** Notes a run, whose work may begin later. */
  add(run: OwnedRun): void {
    this.#runs.set(run.id, run)
    const openTasks = () => run.record.totalTasks - run.record.successCount - run.record.errorCount
    const isOver = () => this.#runs.get(run.id) !== run
    this.#options.userRuns.hold(run.userId, run.id, openTasks, isOver)
  }

  /** A run's last reader here has left. */
  onUnread(run: OwnedRun): void {
    this.#running.onUnread(run)
  }

  /** Takes a run that was added to its end, or until it is put down. @throws what the index refuses its end with. */
  async execute(run: OwnedRun, work: RunWork, hold: RunHold): Promise<RunRest> {
    const executing = this.#execute(run, work, hold)
    this.#executing.set(run, executing)
    try {
      return await executing
    } finally {
      this.#executing.delete(run)
    }
  }

  /** Puts down what is still done for a run, which this node is given anew. */
  async putDown(runId: string): Promise<void> {
    const run = this.#runs.get(runId)
    const executing = run && this.#executing.get(run)
    if (executing === undefined) return
    run?.suspend()
    await executing.catch(() => undefined)
  }

  /** Puts down a run that was added, and whose work was not begun. */
  leave(run: OwnedRun): RunRest {
    run.suspend()
    return this.#putDown(run)
  }

  /** Forgets a run that was not accepted after all. */
  drop({ id, userId }: OwnedRun): void {
    if (this.#runs.delete(id)) this.#options.userRuns.release(userId, id)
  }

  /**
   * Lets what is under way finish, with `putsDown` only what has begun. Past the limit runs are put down, or cancelled.
   */
  async drain(limitMs: number, putsDown: boolean): Promise<void> {
    const ended = Promise.allSettled(this.#executing.values())
    if (putsDown) for (const run of this.#runs.values()) run.drain()
    if (limitMs > 0) {
      const limit = Promise.withResolvers<void>()
      const cancelLimit = this.#options.clock.after(limitMs, limit.resolve)
      await Promise.race([ended, limit.promise])
      cancelLimit()
    }
    for (const run of this.#runs.values()) {
      if (putsDown) run.suspend()
      else run.abort(RunAbort.cancelled('The server stopped'))
    }
    await ended
  }

  async #execute(run: OwnedRun, work: RunWork, { lost }: RunHold): Promise<RunRest> {
    const onLost = () => run.suspend()
    lost.addEventListener('abort', onLost, { once: true })
    if (lost.aborted) onLost()
    const unwatch = this.#options.shared ? run.watch() : undefined
    try {
      await this.#running.execute(run, work)
    } finally {
      unwatch?.()
      lost.removeEventListener('abort', onLost)
    }
    if (run.isSuspended || run.endedAt === undefined) {
      // Refused where another has it; then that one counts.
      if (!lost.aborted && this.#options.shared) await run.letGo().catch(() => undefined)
      return this.#putDown(run)
    }
    await this.#end(run)
    return 'ended'
  }

  #putDown(run: OwnedRun): RunRest {
    // Alone, this process is who goes on with it, after a restart; until then it can be read.
    if (!this.#options.shared) return 'ended'
    this.#runs.delete(run.id)
    this.#options.userRuns.release(run.userId, run.id)
    run.handOver(this.#options.marks)
    return 'unfinished'
  }

  async #end(run: OwnedRun): Promise<void> {
    const { index, userRuns, onEnded } = this.#options
    const { id: runId, log, userId } = run
    this.#runs.delete(runId)
    userRuns.release(userId, runId)
    // Where another ended it after all, as that one did.
    const record = (log.closed ? parseRunRecord(log.attributes.get(RECORD)) : undefined) ?? run.record
    // What is left of a run that has ended is its record. Its log is the store's to keep.
    await index.end({ runId, record, lastEventId: log.idOf(log.head) })
    await onEnded()
  }
}
