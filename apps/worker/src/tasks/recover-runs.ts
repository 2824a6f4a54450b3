import { ProblemError } from '@tributary/protocol'
import { RunElsewhereError, type RunRegistry, type RunWork, readRunPast, TaskBoard } from '@tributary/runs'
import type { HandlerPlaces } from '../handler-places.ts'
import { type FlowDeps, resumeFlow } from './flow.ts'
import { handlersOf, type ParallelTasksDeps, resumeParallelTasks } from './parallel-tasks.ts'

export interface RecoverDeps extends ParallelTasksDeps, FlowDeps {
  readonly runs: RunRegistry
  readonly handlerPlaces: Pick<HandlerPlaces, 'areSomewhere'>
}

/**
 * Goes on with the runs that an earlier process left unfinished. To be called once the service listens, since tasks
 * may call its own sample API; until then the runs can be read, and do not move. One that cannot be gone on with
 * fails, and says why.
 */
export function recoverRuns(deps: RecoverDeps): Promise<void> {
  return deps.runs.recover(async ({ kind }, request) => {
    try {
      if (kind === 'parallel-tasks') {
        await refuseElsewhere(request, deps)
        return resumeParallelTasks(request, deps)
      }
      if (kind === 'flow') return resumeFlow(request, deps)
      throw new ProblemError('invalid_request', `A worker has no runs of the kind ${JSON.stringify(kind)}`)
    } catch (error) {
      if (error instanceof RunElsewhereError) throw error
      return fail(error, deps)
    }
  })
}

/** @throws RunElsewhereError where the request names tasks that this worker has not, and another has them all. */
async function refuseElsewhere(request: unknown, { handlers, handlerPlaces }: RecoverDeps): Promise<void> {
  const names = handlersOf(request)
  if (names.every((name) => handlers.find(name) !== undefined)) return
  if (await handlerPlaces.areSomewhere(names)) throw new RunElsewhereError(`Not here: ${names.join(', ')}`)
}

/** Gives the tasks that had begun their final states, and fails the run. */
function fail(error: unknown, { clock, config }: RecoverDeps): RunWork {
  return async (run) => {
    const past = await readRunPast(run.log, { clock, end: run.suspended })
    const tasks = [...past.tasks.keys()].map((id) => ({ id, name: id, source: 'worker' }))
    // Kept by the run, which settles them.
    new TaskBoard(run, tasks, { clock, maxEventBytes: config.MAX_EVENT_BYTES, past })
    throw error
  }
}
