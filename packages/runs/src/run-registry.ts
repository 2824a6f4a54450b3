import type { EventStore, OnceKey } from '@tributary/eventlog'
import { type Clock, newRunId, ProblemError, type RunKind, type RunListQuery } from '@tributary/protocol'
import { DisconnectGraces } from './disconnect-graces.ts'
import { executeRun, type RunWork } from './execute-run.ts'
import { EndedRun, type KnownRun } from './known-run.ts'
import { OnceRuns } from './once-runs.ts'
import { REQUEST, Run } from './run.ts'
import { RunAbort } from './run-error.ts'
import { pageOfRuns, type RunPage } from './run-list.ts'
import type { OnDisconnect, RunRecord } from './run-record.ts'
import { RunRecords, type StoredRun } from './run-records.ts'

export const DEFAULT_RUN_MAX_EVENTS = 100_000
export const DEFAULT_RUN_MAX_AGE_MS = 86_400_000
export const DEFAULT_RUN_MAX_COUNT = 10_000
export const DEFAULT_DISCONNECT_GRACE_MS = 10_000
/** The longest that a key of a run is remembered. */
const MAX_ONCE_WINDOW_MS = 7 * 86_400_000
/** How often finished runs are looked through for what is past its retention. */
const SWEEP_INTERVAL_MS = 30_000

export interface RunRegistryOptions {
  readonly store: EventStore
  readonly clock: Clock
  /** The `source` of the runs' events. */
  readonly source: string
  /** Events kept of a run. Default 100,000. */
  readonly maxEvents?: number
  /** How long a finished run is kept, in ms. Default a day. */
  readonly maxAgeMs?: number
  /** Finished runs kept. Default 10,000; the oldest go first. */
  readonly maxCount?: number
  /** How long work may take to stop once it is told to, in ms. Default 5,000; then the run ends without it. */
  readonly abortGraceMs?: number
  /** How long a run that ends with its readers waits for one to come back, in ms. Default 10,000. */
  readonly disconnectGraceMs?: number
  /** Called where the work of a run threw or did not stop, which its readers are told too, or its log failed. */
  readonly onError?: (error: unknown, runId: string) => void
}

export interface StartOptions {
  readonly kind: RunKind
  readonly userId: string
  readonly totalTasks: number
  /** Milliseconds until the run expires. Default: never. */
  readonly deadlineMs?: number
  /** Default `continue`: only a cancel cancels. */
  readonly onDisconnect?: OnDisconnect
  /** What its work is built from again after a restart, as JSON. Stored until it ends. */
  readonly request?: unknown
  /** What has to succeed before the run is accepted, once it is stored. Where it throws, there was no run. */
  readonly prepare?: (run: Run) => Promise<void>
}

/** A run that was asked for with a key. */
export interface StartedOnce {
  readonly run: KnownRun
  /** Whether an earlier request with this key started it. */
  readonly replayed: boolean
}

/** Builds the work of a run that an earlier process began, from what it was asked for. */
export type RebuildWork = (run: Run, request: unknown) => Promise<RunWork> | RunWork

/** The runs of one service: starts them, ends each exactly once, goes on with them after a restart, forgets them in time. */
export class RunRegistry implements AsyncDisposable {
  readonly #options: RunRegistryOptions
  readonly #records: RunRecords
  // In the order of their start.
  readonly #runs = new Map<string, KnownRun>()
  readonly #running = new Map<Run, Promise<void>>()
  /** Found unfinished in the store, and not gone on with yet. */
  readonly #unfinished = new Set<Run>()
  readonly #once = new OnceRuns()
  readonly #graces: DisconnectGraces
  readonly #stopSweeping: () => void
  #draining = false

  private constructor(options: RunRegistryOptions, records: RunRecords) {
    this.#options = options
    this.#records = records
    const { clock, disconnectGraceMs = DEFAULT_DISCONNECT_GRACE_MS } = options
    this.#graces = new DisconnectGraces(clock, disconnectGraceMs, (run) =>
      this.cancel(run, 'Nobody reads the run any more'),
    )
    this.#stopSweeping = options.clock.every(SWEEP_INTERVAL_MS, () => void this.sweep())
  }

  /** Opens the registry with the runs that the store has. Those that are unfinished wait for `recover`. */
  static async open(options: RunRegistryOptions): Promise<RunRegistry> {
    const { store, maxEvents = DEFAULT_RUN_MAX_EVENTS } = options
    const retention = { maxEvents, maxAgeMs: Number.POSITIVE_INFINITY }
    const registry = new RunRegistry(options, await RunRecords.open(store, retention))
    await registry.#load()
    return registry
  }

  /** Runs that are known, running or kept. */
  get size(): number {
    return this.#runs.size
  }

  get runningCount(): number {
    return this.#running.size
  }

  get(runId: string): KnownRun | undefined {
    return this.#runs.get(runId)
  }

  /** @throws ProblemError `run_not_found`; `run_gone` where it was here and is kept no longer. */
  find(runId: string): KnownRun {
    const run = this.#runs.get(runId)
    if (run !== undefined) return run
    if (this.#records.isForgotten(runId)) {
      throw new ProblemError('run_gone', `The run ${JSON.stringify(runId)} has ended, and is no longer kept.`)
    }
    throw new ProblemError('run_not_found', `There is no run ${JSON.stringify(runId)}.`)
  }

  /** Newest first. @throws ProblemError where `after` is no cursor of a list. */
  list(query: RunListQuery = {}): RunPage {
    return pageOfRuns(
      this.#runs.values().map((run) => run.view()),
      query,
    )
  }

  /**
   * Accepts a run and begins its work.
   *
   * @throws ProblemError `draining` once the drain has begun, `store_unavailable`; what `prepare` throws.
   */
  async start(options: StartOptions, work: RunWork): Promise<Run> {
    return this.#start(options, work)
  }

  /**
   * The same, once: the same key within its window answers the run that it started, also after a restart.
   *
   * @throws as `start`; ProblemError `idempotency_conflict`.
   */
  async startOnce(once: OnceKey, options: StartOptions, work: RunWork): Promise<StartedOnce> {
    const now = this.#options.clock.now()
    const known = this.#once.find(once, now)
    if (known !== undefined) return { run: this.find(await known), replayed: true }
    const { key, fingerprint } = once
    const starting = this.#start(options, work, { key, fingerprint })
    this.#once.add(key, { fingerprint, startedAt: now, runId: starting.then(({ id }) => id) })
    return { run: await starting, replayed: false }
  }

  /** Goes on with the runs that an earlier process left unfinished. */
  async recover(rebuild: RebuildWork): Promise<void> {
    for (const run of [...this.#unfinished]) {
      this.#unfinished.delete(run)
      if (this.#draining) return
      this.#execute(run, async (resumed) =>
        (await rebuild(resumed, parsed(resumed.attribute(REQUEST))))(resumed),
      )
      // Its readers went with the process; who still wants it comes back.
      this.#graces.begin(run)
    }
  }

  /** Cancels a run. Answers whether it was still going on. */
  cancel(run: KnownRun, message?: string): boolean {
    return run instanceof Run && run.abort(RunAbort.cancelled(message))
  }

  /** Forgets finished runs that are too old or too many. */
  async sweep(): Promise<void> {
    const { clock, maxAgeMs = DEFAULT_RUN_MAX_AGE_MS, maxCount = DEFAULT_RUN_MAX_COUNT } = this.#options
    const oldestMs = clock.now() - maxAgeMs
    const ended = [...this.#runs.values()].filter((run) => run instanceof EndedRun)
    const excess = ended.length - maxCount
    const forgotten = ended.filter(({ endedAt = 0 }, index) => index < excess || endedAt < oldestMs)
    for (const { id } of forgotten) this.#runs.delete(id)
    this.#once.forgetBefore(clock.now() - MAX_ONCE_WINDOW_MS)
    await this.#records.forget(forgotten).catch((error: unknown) => this.#report(error, 'forgotten runs'))
  }

  /**
   * Takes no more runs, and lets what is under way finish. What is not done by then is stored to be gone on with
   * where the store is durable: tasks that have not begun at once, the others past `limitMs`. Where it is not, runs
   * are let finish, and cancelled past `limitMs`.
   */
  async drain(limitMs: number): Promise<void> {
    this.#draining = true
    const { clock, store } = this.#options
    const ended = Promise.all(this.#running.values())
    if (store.durable) for (const run of this.#running.keys()) run.drain()
    if (limitMs > 0) {
      const limit = Promise.withResolvers<void>()
      const cancelLimit = clock.after(limitMs, limit.resolve)
      await Promise.race([ended, limit.promise])
      cancelLimit()
    }
    for (const run of this.#running.keys()) {
      if (store.durable) run.suspend()
      else this.cancel(run, 'The server stopped')
    }
    await ended
  }

  async close(): Promise<void> {
    this.#stopSweeping()
    await this.drain(0)
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
    for (const run of stored) {
      const known = run.closed ? this.#endedRun(run) : await this.#takeOver(run)
      this.#runs.set(run.runId, known)
    }
    const keyed = [...stored.map(({ runId, record }) => ({ runId, ...record })), ...this.#records.forgotten()]
    for (const { runId, startedAt, once } of keyed.toSorted((a, b) => a.startedAt - b.startedAt)) {
      if (once === undefined) continue
      const { key, fingerprint } = once
      this.#once.add(key, { fingerprint, startedAt, runId: Promise.resolve(runId) })
    }
  }

  async #takeOver({ runId, record }: StoredRun): Promise<Run> {
    const run = this.#runOf(runId, await this.#records.takeOver(runId, record))
    this.#unfinished.add(run)
    return run
  }

  #endedRun({ runId, record, lastEventId }: StoredRun): EndedRun {
    return new EndedRun(runId, record, lastEventId, () => this.#records.openLog(runId))
  }

  async #start(
    { prepare, request, ...options }: StartOptions,
    work: RunWork,
    once?: RunRecord['once'],
  ): Promise<Run> {
    this.#refuseWhileDraining()
    const runId = newRunId()
    const { deadlineMs, onDisconnect } = options
    const record: RunRecord = {
      kind: options.kind,
      userId: options.userId,
      startedAt: this.#options.clock.now(),
      totalTasks: options.totalTasks,
      successCount: 0,
      errorCount: 0,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
      ...(onDisconnect === undefined ? {} : { onDisconnect }),
      epoch: 1,
      ...(once === undefined ? {} : { once }),
    }
    const log = await this.#records.create(runId, record, request)
    const run = this.#runOf(runId, { log, record })
    try {
      await prepare?.(run)
      // The drain may have begun meanwhile, and would not wait for this run.
      this.#refuseWhileDraining()
    } catch (error) {
      await this.#records.drop(runId).catch((failure: unknown) => this.#report(failure, runId))
      throw error
    }
    this.#runs.set(runId, run)
    this.#execute(run, work)
    return run
  }

  #runOf(runId: string, { log, record }: { log: Run['log']; record: RunRecord }): Run {
    const { source, clock } = this.#options
    const onUnread = (run: Run) => this.#graces.begin(run)
    return new Run({ runId, record, log, source, clock, onUnread })
  }

  #execute(run: Run, work: RunWork): void {
    const { clock, abortGraceMs } = this.#options
    const { deadlineMs } = run.record
    const cancelDeadline =
      deadlineMs === undefined
        ? undefined
        : clock.after(Math.max(0, run.startedAt + deadlineMs - clock.now()), () =>
            run.abort(RunAbort.deadlineExceeded(deadlineMs)),
          )
    const executing = executeRun(run, work, {
      clock,
      ...(abortGraceMs === undefined ? {} : { abortGraceMs }),
      onError: (error) => this.#report(error, run.id),
    })
    const ended = executing.then(async () => {
      cancelDeadline?.()
      this.#graces.end(run)
      this.#running.delete(run)
      if (run.log.closed) this.#keep(run)
      await this.sweep()
    })
    this.#running.set(run, ended)
  }

  /** What is left of a run that has ended: its record. Its log is the store's to keep. */
  #keep(run: Run): void {
    const { id: runId, log, record } = run
    if (!this.#runs.has(runId)) return
    this.#runs.set(runId, this.#endedRun({ runId, record, closed: true, lastEventId: log.idOf(log.head) }))
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

function parsed(request: string | undefined): unknown {
  return request === undefined ? undefined : JSON.parse(request)
}
