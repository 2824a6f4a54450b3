import type { RunRegistry } from '@tributary/runs'
import type { OwnRuns } from './own-runs.ts'

/**
 * Goes on with the relays, merges and hybrid runs that an earlier process left unfinished: each source from the last
 * event that was stored of it, each task by its rule. To be called once the service listens, for a run may read from
 * a worker that asks us something.
 */
export function recoverRuns(runs: RunRegistry, ownRuns: OwnRuns): Promise<void> {
  return runs.recover((run, request) => ownRuns.resume(run, request))
}
