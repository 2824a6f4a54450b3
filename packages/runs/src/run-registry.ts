import { LogClosedError, type OnceKey } from '@tributary/eventlog'
import { newRunId, ProblemError, type RunListQuery, type RunStatus } from '@tributary/protocol'
import { LocalUserQuota } from '@tributary/quota'
import { claimEpoch } from './claim-epoch.ts'
import { DistantRun } from './distant-run.ts'
import type { RunWork } from './execute-run.ts'
import type { KnownRun } from './known-run.ts'
import { KnownRuns } from './known-runs.ts'
import { LocalRunIndex } from './local-run-index.ts'
import { LocalRunQueue } from './local-run-queue.ts'
import { LostRuns } from './lost-runs.ts'
import { MissingRuns } from './missing-runs.ts'
import { NodeRuns } from './node-runs.ts'
import { QueuedRuns } from './queued-runs.ts'
import { ReaderMarks } from './reader-marks.ts'
import { Run } from './run.ts'
import { CANCELLED, REQUEST } from './run-attributes.ts'
import { RunAbort, RunElsewhereError } from './run-error.ts'
import type { RunIndex } from './run-index.ts'
import type { RunPage } from './run-list.ts'
import { NO_RUN_METER } from './run-meter.ts'
import type { RunHold, RunQueue, RunRest } from './run-queue.ts'
import { newRecord, type RunRecord } from './run-record.ts'
import { RunRecords, type StoredRun } from './run-records.ts'
import {
  DEFAULT_DISCONNECT_GRACE_MS,
  DEFAULT_RUN_MAX_AGE_MS,
  DEFAULT_RUN_MAX_COUNT,
  DEFAULT_RUN_MAX_EVENTS,
  DEFAULT_RUN_MAX_TAKEOVERS,
  type RebuildWork,
  type RunFleet,
  type RunRegistryOptions,
  type StartedOnce,
  type StartOptions,
} from './run-registry-options.ts'
import { countTakeover, FIRST_TAKEOVER, type Takeover } from './takeovers.ts'
import { UserRuns } from './user-runs.ts'

/** How often finished runs are looked through for what is past its retention. */
const SWEEP_INTERVAL_MS = 30_000
/** How often it is looked for runs of a fleet that the queue has lost, which go on after the second look. */
const LOOK_INTERVAL_MS = 5_000

/** The runs of one service: starts them, ends each exactly once, goes on with them after a restart, forgets them in time. */
export class RunRegistry implements AsyncDisposable {
  readonly #options: RunRegistryOptions
  readonly #records: RunRecords
  readonly #index: RunIndex
  readonly #queue: RunQueue
  readonly #userRuns: UserRuns
  readonly #node: NodeRuns
  readonly #known: KnownRuns
  readonly #queued: QueuedRuns
  readonly #lost: LostRuns
  readonly #missing: MissingRuns
  readonly #marks: ReaderMarks
  readonly #timers: readonly (() => void)[]
  #sweeping = Promise.resolve()
  #draining = false

  private constructor(options: RunRegistryOptions, records: RunRecords, { index, queue }: RunFleet) {
    this.#options = options
    this.#records = records
    this.#index = index
    this.#queue = queue
    this.#userRuns = new UserRuns(options.quota ?? new LocalUserQuota())
    const { clock, abortGraceMs, disconnectGraceMs = DEFAULT_DISCONNECT_GRACE_MS, fleet } = options
    this.#marks = new ReaderMarks({ name: newRunId(), clock, graceMs: disconnectGraceMs })
    this.#node = new NodeRuns({
      clock,
      marks: this.#marks,
      index,
      userRuns: this.#userRuns,
      shared: fleet !== undefined,
      abortGraceMs,
      disconnectGraceMs,
      // Where there are many nodes, each looks now and then.
      onEnded: () => (fleet === undefined ? this.sweep() : Promise.resolve()),
      onError: (error, runId) => this.#report(error, runId),
    })
    this.#lost = new LostRuns({ index, records })
    this.#known = new KnownRuns({
      index,
      queue,
      records,
      marks: this.#marks,
      lost: this.#lost,
      own: (runId) => this.#node.get(runId),
    })
    this.#missing = new MissingRuns({ index, queue, records })
    this.#queued = new QueuedRuns({
      onTaken: (userId, runId) => {
        // Taken by this node it is held anew.
        if (this.#node.get(runId) === undefined) this.#userRuns.release(userId, runId)
      },
    })
    const onError = (error: unknown) => this.#report(error, 'runs')
    this.#timers = [
      clock.every(SWEEP_INTERVAL_MS, () => void this.sweep().catch(onError)),
      // What goes wrong is said by the sweep, which looks, too.
      ...(fleet === undefined
        ? []
        : [clock.every(LOOK_INTERVAL_MS, () => void this.#missing.look().catch(() => undefined))]),
    ]
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
      if (!run.closed) await registry.#goOnLater(run)
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
    const run = await this.#start(newRunId(), { ...options, anywhere: false }, work)
    if (run instanceof Run) return run
    throw new Error('a run that begins here is not of this node')
  }

  /** Accepts a run, and has it executed here, or by whichever node has room where it may be. @throws as `start` */
  submit(options: StartOptions, work: RunWork): Promise<KnownRun> {
    return this.#start(newRunId(), options, work)
  }

  /**
   * The same, once: the same key within its window answers the run that it started, on whichever node, also after a
   * restart.
   *
   * @throws as `start`; ProblemError `idempotency_conflict`; `run_gone` where the run is kept no longer.
   */
  async startOnce(once: OnceKey, options: StartOptions, work: RunWork): Promise<StartedOnce> {
    for (;;) {
      const runId = newRunId()
      const claim = await this.#index.claim(runId, once)
      if (claim.kind === 'ours')
        return { run: await this.#start(runId, options, work, once), replayed: false }
      // Where that one comes to nothing, it is as if it had never been asked for.
      if (await claim.accepted) return { run: await this.find(claim.runId), replayed: true }
    }
  }

  /**
   * Begins to execute what is not finished: runs that an earlier process left, and those that other nodes accepted or
   * cannot go on with. Those that cannot be gone on with fail.
   */
  async recover(rebuild: RebuildWork): Promise<void> {
    if (this.#draining) return
    this.#queue.take((hold) => this.#take(hold, rebuild))
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
    const sweeping = this.#sweeping.then(() => this.#sweep())
    this.#sweeping = sweeping.catch(() => undefined)
    return sweeping
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
    for (const stop of this.#timers) stop()
    await this.drain(0)
    if (this.#options.fleet === undefined) await this.sweep()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #sweep(): Promise<void> {
    if (this.#options.fleet !== undefined) {
      const own = [...this.#node.values()].map(({ id }) => id)
      if (await this.#lost.look(own))
        this.#report(new Error('Redis had lost runs of the index; restored from their logs'), 'runs')
      await this.#missing.look()
    }
    const { maxAgeMs = DEFAULT_RUN_MAX_AGE_MS, maxCount = DEFAULT_RUN_MAX_COUNT } = this.#options
    const gone = await this.#index.forget({ maxAgeMs, maxCount })
    if (gone.length === 0) return
    const dropped: string[] = []
    for (const runId of gone) {
      await this.#records.drop(runId).then(
        () => dropped.push(runId),
        (error: unknown) => this.#report(error, runId),
      )
    }
    await this.#index.dropped(dropped)
  }

  /** Opens a run that this process is to go on with, so that it can be read until it is. */
  async #goOnLater({ runId, record }: StoredRun): Promise<void> {
    const log = await this.#records.openLog(runId)
    this.#node.add(this.#runOf(runId, { log, record: { ...record, epoch: record.epoch + 1 } }))
  }

  /** Goes on with a run that the queue gives to this node. */
  async #take(hold: RunHold, rebuild: RebuildWork): Promise<RunRest> {
    if (this.#draining) return 'unfinished'
    const { runId } = hold
    await this.#node.putDown(runId)
    const run = this.#node.get(runId) ?? (await this.#takeOver(runId))
    if (run === undefined) return 'ended'
    const work = await this.#rebuilt(run, rebuild)
    return this.#node.execute(run, this.#boundWork(run, work), hold)
  }

  /** A run that nobody survives is not begun again: its work only says what is lost of it, and if not even that, nobody. */
  #boundWork(run: Run, work: RunWork): RunWork {
    const { maxTakeovers = DEFAULT_RUN_MAX_TAKEOVERS } = this.#options
    if (run.takeovers <= maxTakeovers) return work
    run.abort(RunAbort.workerLost(run.takeovers))
    return run.takeovers === maxTakeovers + 1 ? work : () => Promise.reject(run.signal.reason)
  }

  async #rebuilt(run: Run, rebuild: RebuildWork): Promise<RunWork> {
    try {
      const request = run.attribute(REQUEST)
      return await rebuild(run, request === undefined ? undefined : JSON.parse(request))
    } catch (error) {
      if (!(error instanceof RunElsewhereError)) return () => Promise.reject(error)
      this.#node.drop(run)
      throw error
    }
  }

  /** Makes a run of the store this node's; `undefined` where it has ended, or is not there. */
  async #takeOver(runId: string): Promise<Run | undefined> {
    const stored = await this.#records.read(runId)
    if (stored === undefined) return undefined
    if (!stored.closed) {
      const log = await this.#records.openLog(runId)
      const epoch = await claimEpoch(log, stored.record.epoch + 1).catch((error: unknown) => {
        if (!(error instanceof LogClosedError)) throw error
      })
      if (epoch !== undefined) {
        const takeover = stored.record.epoch === 0 ? FIRST_TAKEOVER : await countTakeover(log)
        const run = this.#runOf(runId, { log, record: { ...stored.record, epoch }, takeover })
        this.#node.add(run)
        return run
      }
    }
    // Whoever ended it did not come as far as to say so.
    const ended = await this.#records.read(runId)
    if (ended !== undefined) await this.#index.end(ended)
    return undefined
  }

  async #start(runId: string, options: StartOptions, work: RunWork, once?: OnceKey): Promise<KnownRun> {
    const { userId, totalTasks } = options
    try {
      this.#refuseWhileDraining()
      if (once === undefined) await this.#index.claim(runId)
      // Also for those that are only about to be accepted: who asks for many at once gets no more.
      await this.#userRuns.take(userId, runId, totalTasks)
      try {
        return await this.#accept(runId, options, work, once)
      } catch (error) {
        this.#userRuns.release(userId, runId)
        throw error
      }
    } catch (error) {
      await this.#index.abandon(runId).catch((failure: unknown) => this.#report(failure, runId))
      throw error
    }
  }

  /** Stores a run, and prepares it. Where that fails there was none. */
  async #accept(
    runId: string,
    { prepare, request, anywhere = false, ...options }: StartOptions,
    work: RunWork,
    once: OnceKey | undefined,
  ): Promise<KnownRun> {
    const { clock, fleet, store, meter = NO_RUN_METER } = this.#options
    const isQueued = anywhere && fleet !== undefined
    const keyed = once && { key: once.key, fingerprint: once.fingerprint }
    const record = newRecord(options, clock.now(), keyed, isQueued ? 0 : 1)
    const log = await this.#records.create(runId, record, request)
    const queued = { runId, userId: options.userId }
    try {
      if (isQueued) {
        await this.#index.add({ runId, record })
        await this.#queue.add(queued)
        this.#queued.add(options.userId, runId, log)
        meter.started(options.kind)
        const openLog = async () => log
        return new DistantRun({ runId, record, lastEventId: undefined, openLog, marks: this.#marks })
      }
      const run = this.#runOf(runId, { log, record })
      await prepare?.(run)
      // The drain may have begun meanwhile, and would not wait for this run.
      if (!store.durable) this.#refuseWhileDraining()
      await this.#index.add({ runId, record })
      this.#node.add(run)
      meter.started(options.kind)
      // What was prepared elsewhere goes on, and must not be prepared again: the run is accepted, and begun after the restart.
      if (this.#draining) await this.#passOn(run)
      else await this.#queue.hold(queued, (hold) => this.#node.execute(run, work, hold))
      return run
    } catch (error) {
      const run = this.#node.get(runId)
      if (run !== undefined) this.#node.drop(run)
      await this.#records.drop(runId).catch((failure: unknown) => this.#report(failure, runId))
      throw error
    }
  }

  /** Leaves a run that this node accepted to the next, or to itself after a restart. */
  async #passOn(run: Run): Promise<void> {
    run.suspend()
    if (this.#options.fleet !== undefined) await this.#queue.add({ runId: run.id, userId: run.userId })
  }

  #runOf(
    runId: string,
    { log, record, takeover }: { log: Run['log']; record: RunRecord; takeover?: Takeover },
  ): Run {
    const { source, clock, maxEvents = DEFAULT_RUN_MAX_EVENTS, meter = NO_RUN_METER } = this.#options
    const onUnread = (run: Run) => this.#node.onUnread(run)
    return new Run({
      runId,
      record,
      log,
      maxEvents,
      source,
      clock,
      meter,
      onUnread,
      ...(takeover === undefined ? {} : { takeover }),
    })
  }

  #refuseWhileDraining(): void {
    if (!this.#draining) return
    throw new ProblemError('draining', 'This server takes no more runs; try again in a moment', {
      retryAfterS: 1,
    })
  }

  #report(error: unknown, runId: string): void {
    try {
      this.#options.onError?.(error, runId)
    } catch {
      // A log that fails is no reason to lose the run.
    }
  }
}
