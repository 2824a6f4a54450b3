import { ProblemError } from '@tributary/protocol'
import { type RunRegistry, type RunWork, readRunPast, TaskBoard } from '@tributary/runs'
import { type FlowDeps, resumeFlow } from './flow.ts'
import { type ParallelTasksDeps, resumeParallelTasks } from './parallel-tasks.ts'

export interface RecoverDeps extends ParallelTasksDeps, FlowDeps {
  readonly runs: RunRegistry
}

/**
 * Goes on with the runs that an earlier process left unfinished. To be called once the service listens, since tasks
 * may call its own sample API; until then the runs can be read, and do not move. One that cannot be gone on with
 * fails, and says why.
 */
export function recoverRuns(deps: RecoverDeps): Promise<void> {
  return deps.runs.recover(({ kind }, request) => {
    try {
      if (kind === 'parallel-tasks') return resumeParallelTasks(request, deps)
      if (kind === 'flow') return resumeFlow(request, deps)
      throw new ProblemError('invalid_request', `A worker has no runs of the kind ${JSON.stringify(kind)}`)
    } catch (error) {
      return fail(error, deps)
    }
  })
}

/** Gives the tasks that had begun their final states, and fails the run. */
function fail(error: unknown, { clock, config }: RecoverDeps): RunWork {
  return async (run) => {
    const past = await readRunPast(run.log)
    const tasks = [...past.tasks.keys()].map((id) => ({ id, name: id, source: 'worker' }))
    // Kept by the run, which settles them.
    new TaskBoard(run, tasks, { clock, maxEventBytes: config.MAX_EVENT_BYTES, past })
    throw error
  }
}
