import type { OnceKey } from '@tributary/eventlog'
import { newRunId, ProblemError, type RunListQuery, type RunStatus } from '@tributary/protocol'
import { LocalUserQuota } from '@tributary/quota'
import type { RunWork } from './execute-run.ts'
import { KeptRuns } from './kept-runs.ts'
import { EndedRun, type KnownRun } from './known-run.ts'
import { OnceRuns } from './once-runs.ts'
import { REQUEST, Run } from './run.ts'
import { RunAbort } from './run-error.ts'
import { pageOfRuns, type RunPage } from './run-list.ts'
import { NO_RUN_METER } from './run-meter.ts'
import { newRecord, type RunRecord } from './run-record.ts'
import { RunRecords, type StoredRun } from './run-records.ts'
import {
  DEFAULT_DISCONNECT_GRACE_MS,
  DEFAULT_RUN_MAX_AGE_MS,
  DEFAULT_RUN_MAX_COUNT,
  DEFAULT_RUN_MAX_EVENTS,
  type RebuildWork,
  type RunRegistryOptions,
  type StartedOnce,
  type StartOptions,
} from './run-registry-options.ts'
import { RunningRuns } from './running-runs.ts'
import { UserRuns } from './user-runs.ts'

/** The longest that a key of a run is remembered. */
const MAX_ONCE_WINDOW_MS = 7 * 86_400_000
/** How often finished runs are looked through for what is past its retention. */
const SWEEP_INTERVAL_MS = 30_000

/** The runs of one service: starts them, ends each exactly once, goes on with them after a restart, forgets them in time. */
export class RunRegistry implements AsyncDisposable {
  readonly #options: RunRegistryOptions
  readonly #records: RunRecords
  /** Those that have not ended: at work, or waiting for `recover`. */
  readonly #live = new Map<string, Run>()
  readonly #kept: KeptRuns
  readonly #running: RunningRuns
  readonly #once = new OnceRuns()
  readonly #userRuns: UserRuns
  readonly #stopSweeping: () => void
  #draining = false

  private constructor(options: RunRegistryOptions, records: RunRecords) {
    this.#options = options
    this.#records = records
    this.#userRuns = new UserRuns(options.quota ?? new LocalUserQuota())
    const { clock, maxAgeMs = DEFAULT_RUN_MAX_AGE_MS, maxCount = DEFAULT_RUN_MAX_COUNT } = options
    const onError = (error: unknown, runId: string) => this.#report(error, runId)
    this.#kept = new KeptRuns({ records, maxAgeMs, maxCount, onError })
    const { abortGraceMs, disconnectGraceMs = DEFAULT_DISCONNECT_GRACE_MS } = options
    const onDone = (run: Run) => this.#onDone(run)
    this.#running = new RunningRuns({ clock, abortGraceMs, disconnectGraceMs, onDone, onError })
    this.#stopSweeping = clock.every(SWEEP_INTERVAL_MS, () => void this.sweep())
  }

  /** Opens the registry with the runs that the store has. Those that are unfinished wait for `recover`. */
  static async open(options: RunRegistryOptions): Promise<RunRegistry> {
    const { store, maxEvents = DEFAULT_RUN_MAX_EVENTS } = options
    const registry = new RunRegistry(options, await RunRecords.open(store, maxEvents))
    await registry.#load()
    return registry
  }

  /** Runs that are known, running or kept. */
  get size(): number {
    return this.#live.size + this.#kept.size
  }

  get runningCount(): number {
    return this.#running.size
  }

  /** How many there are in which state, of those that have not ended and those that are kept. */
  counts(): ReadonlyMap<RunStatus, number> {
    const counts = new Map<RunStatus, number>()
    const count = ({ status }: KnownRun) => counts.set(status, (counts.get(status) ?? 0) + 1)
    for (const run of this.#live.values()) count(run)
    for (const run of this.#kept.values()) count(run)
    return counts
  }

  async get(runId: string): Promise<KnownRun | undefined> {
    return this.#live.get(runId) ?? this.#kept.get(runId)
  }

  /** @throws ProblemError `run_not_found`; `run_gone` where it was here and is kept no longer. */
  async find(runId: string): Promise<KnownRun> {
    const run = await this.get(runId)
    if (run !== undefined) return run
    if (this.#records.isForgotten(runId)) {
      throw new ProblemError('run_gone', `The run ${JSON.stringify(runId)} has ended, and is no longer kept.`)
    }
    throw new ProblemError('run_not_found', `There is no run ${JSON.stringify(runId)}.`)
  }

  /**
   * Newest first.
   *
   * @param userId whose. Default: everybody's.
   * @throws ProblemError where `after` is no cursor of a list.
   */
  async list(query: RunListQuery = {}, userId?: string): Promise<RunPage> {
    const all: KnownRun[] = [...this.#live.values(), ...this.#kept.values()]
    const theirs = userId === undefined ? all : all.filter((run) => run.userId === userId)
    return pageOfRuns(
      theirs.map((run) => run.view()),
      query,
    )
  }

  /**
   * Accepts a run and begins its work.
   *
   * @throws ProblemError `draining` once the drain has begun, `store_unavailable`; `user_run_limit`, `user_task_limit` and
   *   `too_many_tasks` where its user has too many; what `prepare` throws.
   */
  async start(options: StartOptions, work: RunWork): Promise<Run> {
    return this.#start(options, work)
  }

  /**
   * The same, once: the same key within its window answers the run that it started, also after a restart.
   *
   * @throws as `start`; ProblemError `idempotency_conflict`; `run_gone` where the run is kept no longer.
   */
  async startOnce(once: OnceKey, options: StartOptions, work: RunWork): Promise<StartedOnce> {
    const now = this.#options.clock.now()
    const known = this.#once.find(once, now)
    if (known !== undefined) return { run: await this.find(await known), replayed: true }
    const { key, fingerprint } = once
    const starting = this.#start(options, work, { key, fingerprint })
    this.#once.add(key, { fingerprint, startedAt: now, runId: starting.then(({ id }) => id) })
    return { run: await starting, replayed: false }
  }

  /** Goes on with the runs that an earlier process left unfinished. Those that cannot be gone on with fail. */
  async recover(rebuild: RebuildWork): Promise<void> {
    for (const run of this.#live.values()) {
      if (this.#draining) return
      if (!run.resumed || this.#running.has(run)) continue
      this.#running.begin(run, async (resumed) => {
        const request = resumed.attribute(REQUEST)
        const work = await rebuild(resumed, request === undefined ? undefined : JSON.parse(request))
        return work(resumed)
      })
    }
  }

  /** Cancels a run. Answers whether it was still going on. */
  async cancel(run: KnownRun, message?: string): Promise<boolean> {
    return run instanceof Run && run.abort(RunAbort.cancelled(message))
  }

  /** Forgets finished runs that are too old or too many. */
  async sweep(): Promise<void> {
    const now = this.#options.clock.now()
    this.#once.forgetBefore(now - MAX_ONCE_WINDOW_MS)
    await this.#kept.sweep(now)
  }

  /**
   * Takes no more runs, and lets what is under way finish. What is not done by then is stored to be gone on with
   * where the store is durable: tasks that have not begun at once, the others past `limitMs`. Where it is not, runs
   * are let finish, and cancelled past `limitMs`.
   */
  async drain(limitMs: number): Promise<void> {
    this.#draining = true
    const { clock, store } = this.#options
    const ended = this.#running.ended()
    if (store.durable) for (const run of this.#live.values()) run.drain()
    if (limitMs > 0) {
      const limit = Promise.withResolvers<void>()
      const cancelLimit = clock.after(limitMs, limit.resolve)
      await Promise.race([ended, limit.promise])
      cancelLimit()
    }
    for (const run of this.#live.values()) {
      if (store.durable) run.suspend()
      else run.abort(RunAbort.cancelled('The server stopped'))
    }
    await ended
  }

  async close(): Promise<void> {
    this.#stopSweeping()
    await this.drain(0)
    await this.sweep()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #load(): Promise<void> {
    const stored: StoredRun[] = []
    const onUnreadable = (name: string) =>
      this.#report(new Error(`The record of ${name} cannot be read`), name)
    for await (const run of this.#records.all(onUnreadable)) stored.push(run)
    stored.sort((a, b) => a.record.startedAt - b.record.startedAt)
    for (const run of stored) if (!run.closed) this.#live.set(run.runId, await this.#unfinishedRun(run))
    const ended = stored.filter(({ closed }) => closed)
    for (const run of ended.sort((a, b) => endOf(a) - endOf(b))) this.#kept.add(this.#endedRun(run))
    const keyed = [...this.#records.forgotten(), ...stored.map(({ runId, record }) => ({ runId, ...record }))]
    for (const { runId, startedAt, once } of keyed.sort((a, b) => a.startedAt - b.startedAt)) {
      if (once === undefined) continue
      const { key, fingerprint } = once
      this.#once.add(key, { fingerprint, startedAt, runId: Promise.resolve(runId) })
    }
  }

  async #unfinishedRun({ runId, record }: StoredRun): Promise<Run> {
    const log = await this.#records.openLog(runId)
    const run = this.#runOf(runId, { log, record: { ...record, epoch: record.epoch + 1 } })
    this.#hold(run)
    return run
  }

  #endedRun({ runId, record, lastEventId }: Omit<StoredRun, 'closed'>): EndedRun {
    return new EndedRun(runId, record, lastEventId, async () => {
      // Opening what was dropped meanwhile would begin it anew.
      await this.find(runId)
      return this.#records.openLog(runId)
    })
  }

  async #start(options: StartOptions, work: RunWork, once?: RunRecord['once']): Promise<Run> {
    this.#refuseWhileDraining()
    const runId = newRunId()
    const { userId } = options
    // Also for those that are only about to be accepted: who asks for many at once gets no more.
    await this.#userRuns.take(userId, runId, options.totalTasks)
    try {
      const run = await this.#accept(runId, options, once)
      this.#live.set(runId, run)
      this.#hold(run)
      run.meter.started(run.kind)
      // What was prepared elsewhere goes on, and must not be prepared again: the run is accepted, and begun after the restart.
      if (this.#draining) run.suspend()
      else this.#running.begin(run, work)
      return run
    } catch (error) {
      if (!this.#live.has(runId)) this.#userRuns.release(userId, runId)
      throw error
    }
  }

  /** Stores a run, and prepares it. Where that fails there was none. */
  async #accept(
    runId: string,
    { prepare, request, ...options }: StartOptions,
    once?: RunRecord['once'],
  ): Promise<Run> {
    const record = newRecord(options, this.#options.clock.now(), once)
    const log = await this.#records.create(runId, record, request)
    const run = this.#runOf(runId, { log, record })
    try {
      await prepare?.(run)
      // The drain may have begun meanwhile, and would not wait for this run.
      if (!this.#options.store.durable) this.#refuseWhileDraining()
    } catch (error) {
      await this.#records.drop(runId).catch((failure: unknown) => this.#report(failure, runId))
      throw error
    }
    return run
  }

  #hold(run: Run): void {
    const openTasks = () => run.record.totalTasks - run.record.successCount - run.record.errorCount
    this.#userRuns.hold(run.userId, run.id, openTasks)
  }

  #runOf(runId: string, { log, record }: { log: Run['log']; record: RunRecord }): Run {
    const { source, clock, maxEvents = DEFAULT_RUN_MAX_EVENTS, meter = NO_RUN_METER } = this.#options
    const onUnread = (run: Run) => this.#running.onUnread(run)
    return new Run({ runId, record, log, maxEvents, source, clock, meter, onUnread })
  }

  async #onDone(run: Run): Promise<void> {
    if (run.endedAt === undefined || run.isSuspended) return
    // What is left of a run that has ended is its record. Its log is the store's to keep.
    const { id: runId, log, record } = run
    this.#live.delete(runId)
    this.#userRuns.release(record.userId, runId)
    this.#kept.add(this.#endedRun({ runId, record, lastEventId: log.idOf(log.head) }))
    await this.sweep()
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

function endOf({ record }: StoredRun): number {
  return record.ended?.at ?? record.startedAt
}
