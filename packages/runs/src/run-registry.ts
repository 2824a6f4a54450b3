import type { EventStore, Retention } from '@tributary/eventlog'
import { type Clock, newRunId, ProblemError, type RunKind } from '@tributary/protocol'
import { executeRun, type RunWork } from './execute-run.ts'
import { Run } from './run.ts'
import { RunAbort } from './run-error.ts'

export const DEFAULT_RUN_MAX_EVENTS = 100_000
export const DEFAULT_RUN_MAX_AGE_MS = 86_400_000
export const DEFAULT_RUN_MAX_COUNT = 10_000
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
  /** Called where the work of a run threw or did not stop, which its readers are told too, or its log failed. */
  readonly onError?: (error: unknown, run: Run) => void
}

export interface StartOptions {
  readonly kind: RunKind
  readonly userId: string
  readonly totalTasks: number
  /** Milliseconds until the run expires. Default: never. */
  readonly deadlineMs?: number
}

/** The runs of one service: starts them, ends each exactly once, and forgets them in time. */
export class RunRegistry implements AsyncDisposable {
  readonly #options: RunRegistryOptions
  // In the order of their start.
  readonly #runs = new Map<string, Run>()
  readonly #running = new Map<Run, Promise<void>>()
  readonly #retention: Retention
  readonly #stopSweeping: () => void
  #draining = false

  constructor(options: RunRegistryOptions) {
    this.#options = options
    this.#retention = {
      maxEvents: options.maxEvents ?? DEFAULT_RUN_MAX_EVENTS,
      maxAgeMs: Number.POSITIVE_INFINITY,
    }
    this.#stopSweeping = options.clock.every(SWEEP_INTERVAL_MS, () => void this.sweep())
  }

  /** Runs that are known, running or kept. */
  get size(): number {
    return this.#runs.size
  }

  get runningCount(): number {
    return this.#running.size
  }

  get(runId: string): Run | undefined {
    return this.#runs.get(runId)
  }

  /** Newest first. */
  list(): Run[] {
    return [...this.#runs.values()].reverse()
  }

  /** Accepts a run and begins its work. @throws ProblemError `draining` once the drain has begun. */
  async start({ kind, userId, totalTasks, deadlineMs }: StartOptions, work: RunWork): Promise<Run> {
    this.#refuseWhileDraining()
    const { store, clock, source } = this.#options
    const runId = newRunId()
    const name = `run:${runId}`
    const log = await store.open(name, { runId, retention: () => this.#retention })
    // The drain may have begun meanwhile, and would not wait for this run.
    if (this.#draining) await store.drop(name)
    this.#refuseWhileDraining()
    const run = new Run({ runId, kind, userId, totalTasks, log, source, now: () => clock.now() })
    this.#runs.set(runId, run)
    const cancelDeadline =
      deadlineMs === undefined
        ? undefined
        : clock.after(deadlineMs, () => run.abort(RunAbort.deadlineExceeded(deadlineMs)))
    const { abortGraceMs } = this.#options
    const executing = executeRun(run, work, {
      clock,
      ...(abortGraceMs === undefined ? {} : { abortGraceMs }),
      onError: (error) => this.#report(error, run),
    })
    const ended = executing.then(async () => {
      cancelDeadline?.()
      this.#running.delete(run)
      await this.#forget(this.#excess())
    })
    this.#running.set(run, ended)
    return run
  }

  /** Cancels a run. Answers whether it was still going on. */
  cancel(run: Run, message?: string): boolean {
    return run.abort(RunAbort.cancelled(message))
  }

  /** Forgets finished runs that are too old or too many. */
  async sweep(): Promise<void> {
    const { clock, maxAgeMs = DEFAULT_RUN_MAX_AGE_MS } = this.#options
    const oldestMs = clock.now() - maxAgeMs
    const isOld = ({ endedAt = Number.POSITIVE_INFINITY }: Run) => endedAt < oldestMs
    await this.#forget(this.#finished().filter(isOld))
    await this.#forget(this.#excess())
  }

  /** Takes no more runs and lets those that run finish; past `limitMs` they are cancelled. */
  async drain(limitMs: number): Promise<void> {
    this.#draining = true
    const ended = Promise.all(this.#running.values())
    if (limitMs > 0) {
      const limit = Promise.withResolvers<void>()
      const cancelLimit = this.#options.clock.after(limitMs, limit.resolve)
      await Promise.race([ended, limit.promise])
      cancelLimit()
    }
    for (const run of this.#running.keys()) this.cancel(run, 'The server stopped')
    await ended
  }

  async close(): Promise<void> {
    this.#stopSweeping()
    await this.drain(0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #refuseWhileDraining(): void {
    if (!this.#draining) return
    throw new ProblemError('draining', 'This server takes no more runs; try again in a moment', {
      retryAfterS: 1,
    })
  }

  /** In the order of their start. */
  #finished(): IteratorObject<Run> {
    return this.#runs.values().filter((run) => !this.#running.has(run))
  }

  /** The finished runs beyond the number that is kept: the oldest. */
  #excess(): IteratorObject<Run> {
    const { maxCount = DEFAULT_RUN_MAX_COUNT } = this.#options
    return this.#finished().take(Math.max(0, this.#runs.size - this.#running.size - maxCount))
  }

  /** Forgets them all at once, then drops their logs, so that nobody who asks meanwhile counts them twice. */
  async #forget(runs: IteratorObject<Run>): Promise<void> {
    const forgotten = runs.toArray()
    for (const { id } of forgotten) this.#runs.delete(id)
    for (const run of forgotten) {
      await this.#options.store.drop(run.log.name).catch((error: unknown) => this.#report(error, run))
    }
  }

  #report(error: unknown, run: Run): void {
    try {
      this.#options.onError?.(error, run)
    } catch {
      // A log that fails is no reason to lose the run.
    }
  }
}
