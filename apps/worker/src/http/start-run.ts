import { onceKey, type StartedOnce } from '@tributary/runs'
import type { Deps } from '../deps.ts'
import type { PlannedRun } from '../tasks/parallel-tasks.ts'

export interface WhoStarts {
  readonly userId: string
  /** The `Idempotency-Key`. Default: each request starts a run. */
  readonly key: string | undefined
}

/** Starts a run; the same key of the same user answers the run that it started before. @throws as `RunRegistry.startOnce`. */
export async function startRun(
  { userId, key }: WhoStarts,
  { start, work, handlers = [] }: PlannedRun,
  { runs, config, handlerPlaces }: Deps,
): Promise<StartedOnce> {
  // What not all workers have is run here, where it is.
  const anywhere = start.anywhere === true && (await handlerPlaces.areEverywhere(handlers))
  const options = { ...start, anywhere, userId }
  if (key === undefined) return { run: await runs.submit(options, work), replayed: false }
  const request = { kind: start.kind, request: start.request }
  return runs.startOnce(
    onceKey(key, { userId, request, windowMs: config.IDEMPOTENCY_WINDOW_MS }),
    options,
    work,
  )
}
