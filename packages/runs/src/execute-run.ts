import { LogClosedError, StaleEpochError, StoreUnavailableError } from '@tributary/eventlog'
import { type Clock, type FinalRunStatus, faultOf, ProblemError } from '@tributary/protocol'
import type { OwnedRun } from './owned-run.ts'
import type { Run } from './run.ts'
import type { RunOutcome } from './run-end.ts'
import { RunAbort } from './run-error.ts'

/**
 * Does what the run is for, appending as it goes, and answers what came of it. Stops when the run's signal says so,
 * which may be from the first; answers `undefined` where it was drained before all was done. With a run that is
 * resumed it goes on from what its log says.
 */
export type RunWork = (run: Run) => Promise<RunOutcome | undefined>

export const DEFAULT_ABORT_GRACE_MS = 5_000
/** How often the terminal event is tried that a log refuses, and how long after one failure the next. */
const TERMINAL_TRIES = 5
const TERMINAL_RETRY_MS = 1_000

export interface ExecuteOptions {
  readonly clock: Clock
  /** How long work may take to stop once it is told to, in ms. Default 5,000. */
  readonly abortGraceMs?: number
  /** Must not throw. */
  readonly onError: (error: unknown) => void
}

interface Ending {
  readonly outcome: RunOutcome
  /** Default: by the counts. */
  readonly status?: FinalRunStatus
}

/**
 * Takes a run from its beginning to its one terminal event, whatever its work does; or puts it down, to be gone on
 * with after a restart. Never rejects.
 */
export async function executeRun(run: OwnedRun, work: RunWork, options: ExecuteOptions): Promise<void> {
  run.begin()
  const ending = await Promise.race([workToEnd(run, work, options), run.suspended])
  if (ending === undefined) run.suspend()
  else await appendTerminal(run, ending, options)
}

/** `undefined` where the work is to be gone on with later. */
async function workToEnd(run: OwnedRun, work: RunWork, options: ExecuteOptions): Promise<Ending | undefined> {
  let overdue: Overdue | undefined
  try {
    // A store that is waited for is no slowness of the work, which has not begun.
    if (run.taken) await run.takeOver()
    overdue = new Overdue(run, options)
    const outcome = await Promise.race([work(run), overdue.promise])
    if (outcome !== undefined) return { outcome }
    if (run.draining.aborted) return undefined
    throw new Error('The work of a run that is not drained came to nothing')
  } catch (error) {
    if (run.isSuspended) return undefined
    const { reason } = run.signal
    if (reason instanceof RunAbort) {
      // That work ends with the reason it was stopped for is no fault of it.
      if (error !== reason) options.onError(error)
      return { outcome: run.settle(reason.message, reason.code) }
    }
    options.onError(error)
    return { outcome: await tellFailure(run, error), status: 'failed' }
  } finally {
    overdue?.cancel()
  }
}

async function tellFailure(run: OwnedRun, error: unknown): Promise<RunOutcome> {
  const [message, code] =
    error instanceof ProblemError
      ? ([error.message, error.code] as const)
      : (['The server made a mistake; the run cannot go on', 'internal_error'] as const)
  const outcome = run.settle(message, 'task_failed')
  // Where the log is what failed, the terminal event is all that can still be tried.
  await run.emit('error', { error: message, code, ...faultOf(code) }).catch(() => undefined)
  return outcome
}

async function appendTerminal(
  run: OwnedRun,
  { outcome, status }: Ending,
  { clock, onError }: ExecuteOptions,
): Promise<void> {
  for (let failures = 0; !run.isSuspended; ) {
    try {
      return await run.finish(outcome, status)
    } catch (error) {
      if (run.isSuspended) return
      // A store that is full or broken for now is waited for: the end of a run is not lost for it.
      const waits = error instanceof StoreUnavailableError
      if (!waits) onError(error)
      if (!waits) failures += 1
      // Whoever ended or took it, it is ours no more.
      const isOver = error instanceof LogClosedError || error instanceof StaleEpochError
      if (isOver || failures === TERMINAL_TRIES) return run.giveUp()
      const again = Promise.withResolvers<void>()
      const cancel = clock.after(TERMINAL_RETRY_MS, again.resolve)
      await Promise.race([again.promise, run.suspended])
      cancel()
    }
  }
}

/** Rejects where the work goes on for too long after it was told to stop, and not for the store's sake. */
class Overdue {
  readonly #run: Run
  readonly #options: ExecuteOptions
  readonly #rejected = Promise.withResolvers<never>()
  #cancelTimer: (() => void) | undefined
  #isOver = false

  constructor(run: Run, options: ExecuteOptions) {
    this.#run = run
    this.#options = options
    run.signal.addEventListener('abort', this.#begin, { once: true })
    if (run.signal.aborted) this.#begin()
  }

  get promise(): Promise<never> {
    return this.#rejected.promise
  }

  cancel(): void {
    this.#isOver = true
    this.#run.signal.removeEventListener('abort', this.#begin)
    this.#cancelTimer?.()
  }

  readonly #begin = (): void => {
    const { clock, abortGraceMs = DEFAULT_ABORT_GRACE_MS } = this.#options
    if (this.#isOver || !(this.#run.signal.reason instanceof RunAbort)) return
    this.#cancelTimer = clock.after(abortGraceMs, () => {
      const { stall } = this.#run
      // What it has to say waits to be stored, and nothing could be stored behind that.
      if (stall !== undefined) void stall.then(this.#begin)
      else this.#rejected.reject(new Error(`The work of a run did not stop within ${abortGraceMs} ms`))
    })
  }
}
