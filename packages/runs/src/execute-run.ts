import { LogClosedError, StaleEpochError, StoreUnavailableError } from '@tributary/eventlog'
import { type Clock, type FinalRunStatus, ProblemError } from '@tributary/protocol'
import type { Run, RunOutcome } from './run.ts'
import { RunAbort, RunSuspendedError } from './run-error.ts'

/**
 * Does what the run is for, appending as it goes, and answers what came of it. Stops when the run's signal says so;
 * answers `undefined` where it was drained before all was done. With a run that is resumed it goes on from what
 * its log says.
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
export async function executeRun(run: Run, work: RunWork, options: ExecuteOptions): Promise<void> {
  run.begin()
  const ending = await Promise.race([workToEnd(run, work, options), run.suspended])
  if (ending === undefined) run.suspend()
  else await appendTerminal(run, () => run.finish(ending.outcome, ending.status), options)
}

/** `undefined` where the work is to be gone on with later. */
async function workToEnd(run: Run, work: RunWork, options: ExecuteOptions): Promise<Ending | undefined> {
  const overdue = new Overdue(run, options)
  try {
    const outcome = await Promise.race([work(run), overdue.promise])
    return outcome === undefined ? undefined : { outcome }
  } catch (error) {
    const { reason } = run.signal
    if (reason instanceof RunSuspendedError) return undefined
    if (reason instanceof RunAbort) {
      // That work ends with the reason it was stopped for is no fault of it.
      if (error !== reason) options.onError(error)
      return { outcome: run.settle(reason.message, reason.code) }
    }
    options.onError(error)
    return { outcome: await tellFailure(run, error), status: 'failed' }
  } finally {
    overdue.cancel()
  }
}

async function tellFailure(run: Run, error: unknown): Promise<RunOutcome> {
  const [message, code] =
    error instanceof ProblemError
      ? ([error.message, error.code] as const)
      : (['The server made a mistake; the run cannot go on', 'internal_error'] as const)
  const outcome = run.settle(message, 'task_failed')
  // Where the log is what failed, the terminal event is all that can still be tried.
  await run.emit('error', { error: message, code }).catch(() => undefined)
  return outcome
}

async function appendTerminal(run: Run, append: () => Promise<void>, options: ExecuteOptions): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await append()
    } catch (error) {
      options.onError(error)
      // Whoever ended or took it, it is ours no more.
      if (error instanceof LogClosedError || error instanceof StaleEpochError) break
      // A store that is full or broken for now is waited for: the end of a run is not lost for it.
      if (!(error instanceof StoreUnavailableError) && tries >= TERMINAL_TRIES) break
      const again = Promise.withResolvers<'again'>()
      const cancel = options.clock.after(TERMINAL_RETRY_MS, () => again.resolve('again'))
      const next = await Promise.race([again.promise, run.suspended])
      cancel()
      if (next === undefined) break
    }
  }
  run.giveUp()
}

/** Rejects where the work goes on for too long after it was told to stop. */
class Overdue {
  readonly #rejected = Promise.withResolvers<never>()
  readonly #cancels: (() => void)[] = []

  constructor({ signal }: Run, { clock, abortGraceMs = DEFAULT_ABORT_GRACE_MS }: ExecuteOptions) {
    const onAbort = () => {
      if (signal.reason instanceof RunSuspendedError) return
      const overdue = () =>
        this.#rejected.reject(new Error(`The work of a run did not stop within ${abortGraceMs} ms`))
      this.#cancels.push(clock.after(abortGraceMs, overdue))
    }
    signal.addEventListener('abort', onAbort, { once: true })
    this.#cancels.push(() => signal.removeEventListener('abort', onAbort))
  }

  get promise(): Promise<never> {
    return this.#rejected.promise
  }

  cancel(): void {
    for (const cancel of this.#cancels) cancel()
  }
}
