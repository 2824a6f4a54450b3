import { type HttpMethod, type HttpTask, ProblemError, type TaskSpec } from '@tributary/protocol'
import {
  type HandlerRunner,
  type PlannedNamedTask,
  planNamedTask,
  plannedTimeoutMs,
  refuseTask,
  type TaskPlace,
} from '@tributary/runs'
import { type PlannedContent, plannedContent } from './task-content.ts'

/** A task with everything decided that its request left open. */
export type PlannedTask = PlannedHttpTask | PlannedNamedTask

export interface PlannedHttpTask extends PlannedContent {
  readonly kind: 'http'
  readonly id: string
  readonly name: string
  /** What its limit is counted by. */
  readonly origin: string
  readonly url: URL
  readonly method: HttpMethod
  readonly timeoutMs: number
  readonly retries: number
  readonly idempotent: boolean
}

/** A task that was accepted once, and is refused now: by a server that was configured anew, or is of another version. */
export interface RefusedTask {
  readonly kind: 'refused'
  readonly id: string
  readonly name: string
  readonly message: string
}

export interface PlanOptions {
  readonly defaultTimeoutMs: number
  readonly handlers: HandlerRunner
}

/** Further attempts of an idempotent task, where it does not say. */
const DEFAULT_TASK_RETRIES = 2

const SAFE_METHODS: readonly HttpMethod[] = ['GET', 'HEAD', 'OPTIONS']

/**
 * Decides what a request left open.
 *
 * @throws ProblemError that names the task: `no_tasks`, `too_many_tasks`, `duplicate_task_id`,
 *   `invalid_task`, `unknown_handler`.
 */
export function planTasks(
  specs: readonly TaskSpec[],
  { maxTasks, ...options }: PlanOptions & { readonly maxTasks: number },
): PlannedTask[] {
  if (specs.length === 0) throw new ProblemError('no_tasks', 'Give at least one task in "tasks".')
  if (specs.length > maxTasks) {
    const detail = `There are ${specs.length} tasks; send at most ${maxTasks} in one request.`
    throw new ProblemError('too_many_tasks', detail)
  }
  const seen = new Set<string>()
  return specs.map((spec, index) => {
    const place = placeOf(spec, index)
    if (seen.has(place.id)) throw duplicateId(place)
    seen.add(place.id)
    return planTask(spec, place, options)
  })
}

/** Decides it again for tasks that were accepted before: one that is refused now does not take the others with it. */
export function replanTasks(specs: readonly TaskSpec[], options: PlanOptions): (PlannedTask | RefusedTask)[] {
  return specs.map((spec, index) => {
    const place = placeOf(spec, index)
    try {
      return planTask(spec, place, options)
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error
      const { name = place.id } = asObject(spec)
      return { kind: 'refused', id: place.id, name, message: error.message }
    }
  })
}

function planTask(spec: TaskSpec, place: TaskPlace, options: PlanOptions): PlannedTask {
  const task = asObject(spec)
  return 'url' in task ? planHttpTask(task, place, options) : planNamedTask(task, place, options)
}

function placeOf(spec: TaskSpec, index: number): TaskPlace {
  return { id: asObject(spec).id ?? `task-${index + 1}`, path: `body/tasks/${index}` }
}

function asObject(spec: TaskSpec): Exclude<TaskSpec, string> {
  return typeof spec === 'string' ? { name: spec } : spec
}

function duplicateId({ id, path }: TaskPlace): ProblemError {
  const message = `two tasks have the id ${JSON.stringify(id)}; give each an id of its own`
  return new ProblemError('duplicate_task_id', `Task ${JSON.stringify(id)}: ${message}`, {
    errors: [{ path: `${path}/id`, message }],
  })
}

function planHttpTask(task: HttpTask, place: TaskPlace, { defaultTimeoutMs }: PlanOptions): PlannedHttpTask {
  const method = task.method ?? 'GET'
  const idempotent = task.idempotent ?? SAFE_METHODS.includes(method)
  if (task.body !== undefined && (method === 'GET' || method === 'HEAD')) {
    throw refuseTask(place, 'body', `a ${method} has no "body"; use another method, or leave it out`)
  }
  const url = plannedUrl(task.url, place)
  return {
    kind: 'http',
    id: place.id,
    name: task.name ?? place.id,
    origin: url.origin,
    url,
    method,
    ...plannedContent(task, place),
    timeoutMs: plannedTimeoutMs(task.timeoutMs, defaultTimeoutMs, place),
    retries: idempotent ? (task.retries ?? DEFAULT_TASK_RETRIES) : 0,
    idempotent,
  }
}

function plannedUrl(text: string, place: TaskPlace): URL {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    // Not shown again: it may hold credentials.
    throw refuseTask(place, 'url', '"url" must be an absolute http or https address')
  }
  if (url.username !== '' || url.password !== '') {
    throw refuseTask(place, 'url', 'credentials belong in a header, not in "url"')
  }
  return url
}
