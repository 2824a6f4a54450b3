import type { EventStore, Retention } from '@tributary/eventlog'
import { type Clock, newRunId, ProblemError, type RunKind } from '@tributary/protocol'
import { Run, type RunOutcome } from './run.ts'
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
  /** Called where the work of a run threw, which its readers are told of too. */
  readonly onError?: (error: unknown, run: Run) => void
}

export interface StartOptions {
  readonly kind: RunKind
  readonly userId: string
  readonly totalTasks: number
  /** Milliseconds until the run expires. Default: never. */
  readonly deadlineMs?: number
}

/** Does what the run is for, appending as it goes, and answers what came of it. Stops when the signal says so. */
export type RunWork = (run: Run) => Promise<RunOutcome>

/** The runs of one service: starts them, ends each exactly once, and forgets them in time. */
export class RunRegistry implements AsyncDisposable {
  readonly #options: RunRegistryOptions
  // In the order of their start.
  readonly #runs = new Map<string, Run>()
  readonly #running = new Set<Run>()
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
    if (this.#draining) {
      throw new ProblemError('draining', 'This server takes no more runs; try again in a moment', {
        retryAfterS: 1,
      })
    }
    const { store, clock, source } = this.#options
    const runId = newRunId()
    const log = await store.open(`run:${runId}`, { runId, retention: () => this.#retention })
    const run = new Run({ runId, kind, userId, totalTasks, log, source, now: () => clock.now() })
    this.#runs.set(runId, run)
    this.#running.add(run)
    const cancelDeadline =
      deadlineMs === undefined
        ? undefined
        : clock.after(deadlineMs, () => run.abort(RunAbort.deadlineExceeded(deadlineMs)))
    void this.#execute(run, work).finally(() => {
      cancelDeadline?.()
      this.#running.delete(run)
    })
    return run
  }

  /** Cancels a run. Answers whether it was still going on. */
  cancel(run: Run, message?: string): boolean {
    return run.abort(RunAbort.cancelled(message))
  }

  /** Forgets finished runs that are too old or too many. */
  async sweep(): Promise<void> {
    const {
      clock,
      store,
      maxAgeMs = DEFAULT_RUN_MAX_AGE_MS,
      maxCount = DEFAULT_RUN_MAX_COUNT,
    } = this.#options
    const oldestMs = clock.now() - maxAgeMs
    let excess = this.#runs.size - this.#running.size - maxCount
    for (const run of this.#runs.values()) {
      if (run.endedAt === undefined || this.#running.has(run)) continue
      if (run.endedAt >= oldestMs && excess <= 0) continue
      excess -= 1
      this.#runs.delete(run.id)
      await store.drop(run.log.name)
    }
  }

  /** Takes no more runs and lets those that run finish; past `limitMs` they are cancelled. */
  async drain(limitMs: number): Promise<void> {
    this.#draining = true
    const finished = Promise.all([...this.#running].map((run) => run.ended))
    const limit = Promise.withResolvers<void>()
    const cancelLimit = this.#options.clock.after(limitMs, limit.resolve)
    await Promise.race([finished, limit.promise])
    cancelLimit()
    for (const run of this.#running) this.cancel(run, 'The server stopped')
    await finished
  }

  async close(): Promise<void> {
    this.#stopSweeping()
    await this.drain(0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #execute(run: Run, work: RunWork): Promise<void> {
    run.begin()
    let outcome: RunOutcome
    try {
      outcome = await work(run)
    } catch (error) {
      this.#options.onError?.(error, run)
      const { totalTasks } = run.view()
      const message =
        error instanceof ProblemError ? error.message : 'The server made a mistake; the run cannot go on'
      const code = error instanceof ProblemError ? error.code : 'internal_error'
      await run.emit('error', { error: message, code }).catch(() => undefined)
      outcome = { totalTasks, successCount: 0, errorCount: totalTasks, errors: [], status: 'failed' }
    }
    await run.finish(outcome).catch((error: unknown) => this.#options.onError?.(error, run))
  }
}
