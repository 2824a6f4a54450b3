import { StoreUnavailableError } from '@tributary/eventlog'
import type { CancelAnswer, Clock } from '@tributary/protocol'
import type { KnownRun } from './known-run.ts'
import { Run } from './run.ts'
import type { RunRegistry } from './run-registry.ts'

/** How long a cancel waits for the run to have ended, in ms. Longer it takes only where nothing can be stored. */
const CANCEL_WAIT_MS = 10_000

/**
 * Cancels a run, and answers once it has ended, or after 10 s. What is answered is stored, so that no crash undoes it.
 *
 * @throws StoreUnavailableError where it is not stored by then; in this process the run is cancelled all the same.
 */
export async function cancelRun(run: KnownRun, runs: RunRegistry, clock: Clock): Promise<CancelAnswer> {
  // Of a run of another node it is only heard while it is held.
  const release = run.hold()
  const late = Promise.withResolvers<void>()
  const cancelLate = clock.after(CANCEL_WAIT_MS, late.resolve)
  let wasGoingOn: boolean
  try {
    wasGoingOn = await runs.cancel(run)
    await Promise.race([run.ended, late.promise])
  } finally {
    cancelLate()
    release()
  }
  if (run instanceof Run && !run.isEndStored) {
    throw new StoreUnavailableError(
      wasGoingOn || run.status === 'cancelled'
        ? 'the run is cancelled, but a crash before that is stored would undo it; cancel it again in a moment'
        : 'the run is over, but how it ended is not stored yet; ask again in a moment',
    )
  }
  // Its end may have been under way when it was told.
  const cancelled = wasGoingOn && (run.endedAt === undefined || run.status === 'cancelled')
  return { runId: run.id, status: run.status, cancelled }
}
