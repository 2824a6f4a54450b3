import { type HybridRequest, type NamedTask, ProblemError, type TaskSpec } from '@tributary/protocol'
import { type HandlerRunner, type PlannedNamedTask, planNamedTask, refuseTask } from '@tributary/runs'

/** A task for the worker, with the id and the name that its readers will see. */
export type RemoteTask = Exclude<TaskSpec, string> & { readonly id: string; readonly name: string }

export interface PlannedHybrid {
  readonly local: readonly PlannedNamedTask[]
  readonly remote: readonly RemoteTask[]
}

export interface HybridPlanOptions {
  readonly maxTasks: number
  readonly defaultTimeoutMs: number
  readonly handlers: HandlerRunner
}

/**
 * Decides what a hybrid request left open. The remote tasks are the worker's to judge.
 *
 * @throws ProblemError that names the task: `no_tasks`, `too_many_tasks`, `duplicate_task_id`,
 *   `invalid_task`, `unknown_handler`.
 */
export function planHybrid(request: HybridRequest, options: HybridPlanOptions): PlannedHybrid {
  const { localTasks = [], remoteTasks = [] } = request
  const count = localTasks.length + remoteTasks.length
  if (count === 0)
    throw new ProblemError('no_tasks', 'Give at least one task in "localTasks" or "remoteTasks".')
  if (count > options.maxTasks) {
    const detail = `There are ${count} tasks; send at most ${options.maxTasks} in one request.`
    throw new ProblemError('too_many_tasks', detail)
  }
  const seen = new Set<string>()
  const claim = (id: string, path: string) => {
    if (!seen.has(id)) return void seen.add(id)
    const message = `two tasks have the id ${JSON.stringify(id)}; give each an id of its own`
    throw new ProblemError('duplicate_task_id', `Task ${JSON.stringify(id)}: ${message}`, {
      errors: [{ path: `${path}/id`, message }],
    })
  }
  const local = localTasks.map((spec, index) => {
    const task = asObject(spec)
    const place = { id: task.id ?? `local-${index + 1}`, path: `body/localTasks/${index}` }
    claim(place.id, place.path)
    if ('url' in task) {
      throw refuseTask(
        place,
        'url',
        'local tasks are handlers of the gateway; put calls of a "url" into "remoteTasks"',
      )
    }
    return planNamedTask(task, place, options)
  })
  const remote = remoteTasks.map((spec, index) => {
    const task = asObject(spec)
    const id = task.id ?? `remote-${index + 1}`
    claim(id, `body/remoteTasks/${index}`)
    return { ...task, id, name: task.name ?? id }
  })
  return { local, remote }
}

function asObject(spec: TaskSpec): Exclude<TaskSpec, string> {
  return typeof spec === 'string' ? ({ name: spec } satisfies NamedTask) : spec
}
