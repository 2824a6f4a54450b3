import { LogClosedError, type OnceKey } from '@tributary/eventlog'
import { type ConsistencyFault, newRunId, type RunListQuery, type RunStatus } from '@tributary/protocol'
import { LocalUserQuota } from '@tributary/quota'
import type { RunWork } from './execute-run.ts'
import type { KnownRun } from './known-run.ts'
import { KnownRuns } from './known-runs.ts'
import { LocalRunIndex } from './local-run-index.ts'
import { LocalRunQueue } from './local-run-queue.ts'
import { NodeRuns } from './node-runs.ts'
import { QueuedRuns } from './queued-runs.ts'
import { ReaderMarks } from './reader-marks.ts'
import { Run } from './run.ts'
import { CANCELLED } from './run-attributes.ts'
import { RunAbort } from './run-error.ts'
import type { RunIndex } from './run-index.ts'
import type { RunPage } from './run-list.ts'
import type { RunQueue } from './run-queue.ts'
import { RunRecords, type StoredRun } from './run-records.ts'
import {
  DEFAULT_DISCONNECT_GRACE_MS,
  DEFAULT_RUN_MAX_EVENTS,
  type RebuildWork,
  type RunFleet,
  type RunRegistryOptions,
  type StartedOnce,
  type StartOptions,
} from './run-registry-options.ts'
import { RunStarts } from './run-starts.ts'
import { RunSweep } from './run-sweep.ts'
import { TakenRuns } from './taken-runs.ts'
import { UserRuns } from './user-runs.ts'

/** The runs of one service: starts them, ends each exactly once, goes on with them after a restart, forgets them in time. */
export class RunRegistry implements AsyncDisposable {
  readonly #options: RunRegistryOptions
  readonly #index: RunIndex
  readonly #queue: RunQueue
  readonly #node: NodeRuns
  readonly #known: KnownRuns
  readonly #queued: QueuedRuns
  readonly #starts: RunStarts
  readonly #taken: TakenRuns
  readonly #sweep: RunSweep
  #draining = false

  private constructor(options: RunRegistryOptions, records: RunRecords, { index, queue }: RunFleet) {
    this.#options = options
    this.#index = index
    this.#queue = queue
    const { clock, abortGraceMs, disconnectGraceMs = DEFAULT_DISCONNECT_GRACE_MS, fleet } = options
    const userRuns = new UserRuns(options.quota ?? new LocalUserQuota())
    const marks = new ReaderMarks({ name: newRunId(), clock, graceMs: disconnectGraceMs })
    const report = (error: unknown, runId: string) => this.#report(error, runId)
    this.#node = new NodeRuns({
      clock,
      marks,
      index,
      userRuns,
      shared: fleet !== undefined,
      abortGraceMs,
      disconnectGraceMs,
      // Where there are many nodes, each looks now and then.
      onEnded: () => (fleet === undefined ? this.sweep() : Promise.resolve()),
      onError: report,
    })
    this.#queued = new QueuedRuns({
      records,
      onTaken: (userId, runId) => {
        // Taken by this node it is held anew.
        if (this.#node.get(runId) === undefined) userRuns.release(userId, runId)
      },
    })
    const isDraining = () => this.#draining
    const parts = { options, records, index, queue, node: this.#node, isDraining, report }
    this.#taken = new TakenRuns(parts)
    this.#sweep = new RunSweep(parts)
    const { lost } = this.#sweep
    this.#known = new KnownRuns({
      index,
      queue,
      records,
      marks,
      lost,
      clock,
      own: (runId) => this.#node.get(runId),
    })
    const find = (runId: string) => this.#known.find(runId)
    this.#starts = new RunStarts({ ...parts, userRuns, queued: this.#queued, marks, find })
  }

  /**
   * Opens the registry with the runs that there are. Where this process has the store for itself, those that are
   * unfinished are its own, and wait for `recover`.
   */
  static async open(options: RunRegistryOptions): Promise<RunRegistry> {
    const { store, clock, fleet, maxEvents = DEFAULT_RUN_MAX_EVENTS } = options
    const records = new RunRecords(store, maxEvents)
    if (fleet !== undefined) return new RunRegistry(options, records, fleet)
    const stored: StoredRun[] = []
    const unreadable: string[] = []
    for await (const run of records.all((name) => unreadable.push(name))) stored.push(run)
    const onError = (error: unknown) => registry.#report(error, 'runs')
    const index = await LocalRunIndex.open({ store, clock, stored, onError })
    const registry: RunRegistry = new RunRegistry(options, records, {
      index,
      queue: new LocalRunQueue(clock),
    })
    for (const name of unreadable) {
      registry.#report(new Error(`The record of ${name} cannot be read`), name)
    }
    for (const run of stored.sort((a, b) => a.record.startedAt - b.record.startedAt)) {
      if (!run.closed) await registry.#taken.goOnLater(run)
    }
    return registry
  }

  /** Runs that this process knows of without asking: its own, and those that are kept in its memory. */
  get size(): number {
    return (
      this.#node.size +
      this.#index
        .counts()
        .values()
        .reduce((sum, count) => sum + count, 0)
    )
  }

  get runningCount(): number {
    return this.#node.runningCount
  }

  /** Runs that were accepted here, and that no node has taken yet. */
  get queuedCount(): number {
    return this.#queued.size
  }

  /** What is held here for runs that wait for a node, and do not any more. @throws StoreUnavailableError */
  faults(): Promise<readonly ConsistencyFault[]> {
    return this.#queued.faults()
  }

  /** The same as `size`, by their state. */
  counts(): ReadonlyMap<RunStatus, number> {
    const counts = new Map(this.#index.counts())
    for (const { status } of this.#node.values()) counts.set(status, (counts.get(status) ?? 0) + 1)
    return counts
  }

  /** Any run that there is, whichever node works at it. */
  get(runId: string): Promise<KnownRun | undefined> {
    return this.#known.get(runId)
  }

  /** @throws ProblemError `run_not_found`; `run_gone` where it was here and is kept no longer. */
  find(runId: string): Promise<KnownRun> {
    return this.#known.find(runId)
  }

  /**
   * Newest first.
   *
   * @param userId whose. Default: everybody's.
   * @throws ProblemError where `after` is no cursor of a list.
   */
  list(query: RunListQuery = {}, userId?: string): Promise<RunPage> {
    return this.#known.list(query, userId)
  }

  /**
   * Accepts a run and begins its work, here and at once.
   *
   * @throws ProblemError `draining` once the drain has begun, `store_unavailable`; `user_run_limit`, `user_task_limit` and
   *   `too_many_tasks` where its user has too many; what `prepare` throws.
   */
  async start(options: StartOptions, work: RunWork): Promise<Run> {
    const run = await this.#starts.start(newRunId(), { ...options, anywhere: false }, work)
    if (run instanceof Run) return run
    throw new Error('a run that begins here is not of this node')
  }

  /** Accepts a run, and has it executed here, or by whichever node has room where it may be. @throws as `start` */
  submit(options: StartOptions, work: RunWork): Promise<KnownRun> {
    return this.#starts.start(newRunId(), options, work)
  }

  /**
   * The same, once: the same key within its window answers the run that it started, on whichever node, also after a
   * restart.
   *
   * @throws as `start`; ProblemError `idempotency_conflict`; `run_gone` where the run is kept no longer.
   */
  startOnce(once: OnceKey, options: StartOptions, work: RunWork): Promise<StartedOnce> {
    return this.#starts.startOnce(once, options, work)
  }

  /**
   * Begins to execute what is not finished: runs that an earlier process left, and those that other nodes accepted or
   * cannot go on with. Those that cannot be gone on with fail.
   */
  async recover(rebuild: RebuildWork): Promise<void> {
    if (this.#draining) return
    this.#queue.take((hold) => this.#taken.take(hold, rebuild))
    for (const run of this.#node.values()) {
      if (run.resumed && !this.#node.isExecuting(run))
        await this.#queue.add({ runId: run.id, userId: run.userId })
    }
  }

  /**
   * Cancels a run, whichever node works at it. Answers whether it was still going on.
   *
   * @throws StoreUnavailableError where it is another node's, and cannot be told.
   */
  async cancel(run: KnownRun, message?: string): Promise<boolean> {
    const abort = RunAbort.cancelled(message)
    if (run instanceof Run && !run.isSuspended) return run.abort(abort)
    if (this.#options.fleet === undefined || run.endedAt !== undefined) return false
    const log = await run.openLog()
    try {
      await log.append([], { attributes: { [CANCELLED]: abort.message } })
    } catch (error) {
      if (error instanceof LogClosedError) return false
      throw error
    }
    // Nobody hears of it that waits for a node; what is cancelled need not wait.
    await this.#queue.hurry({ runId: run.id, userId: run.userId })
    return true
  }

  /** Forgets finished runs that are too old or too many, and queues again what the queue lost. Resolves once earlier sweeps have, too. */
  sweep(): Promise<void> {
    return this.#sweep.sweep()
  }

  /**
   * Takes no more runs, and lets what is under way finish. What is not done by then is stored to be gone on with
   * where the store is durable: tasks that have not begun at once, the others past `limitMs`. Where it is not, runs
   * are let finish, and cancelled past `limitMs`.
   */
  async drain(limitMs: number): Promise<void> {
    this.#draining = true
    const paused = this.#queue.pause().catch((error: unknown) => this.#report(error, 'runs'))
    await this.#node.drain(limitMs, this.#options.store.durable)
    this.#queued.close()
    await paused
  }

  async close(): Promise<void> {
    this.#sweep.stop()
    await this.drain(0)
    if (this.#options.fleet === undefined) await this.sweep()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #report(error: unknown, runId: string): void {
    try {
      this.#options.onError?.(error, runId)
    } catch {
      // A log that fails is no reason to lose the run.
    }
  }
}
