import {
  type Clock,
  isTaskErrorCode,
  MAX_TASK_TIMEOUT_MS,
  MIN_TASK_TIMEOUT_MS,
  type NamedTask,
  ProblemError,
  type TaskErrorCode,
} from '@tributary/protocol'
import type { TaskLog } from './handlers/define-task.ts'
import { toErrorData } from './handlers/error-data.ts'
import { HandlerInputError, TaskError, UnknownHandlerError } from './handlers/handler-error.ts'
import type { HandlerRunner } from './handlers/handler-runner.ts'
import type { TaskBoard } from './task-board.ts'

/** A call of a handler, with everything decided that its request left open. */
export interface PlannedNamedTask {
  readonly kind: 'named'
  readonly id: string
  readonly name: string
  /** What its limit is counted by. */
  readonly origin: string
  readonly input: unknown
  readonly timeoutMs: number
  readonly retries: 0
  readonly idempotent: boolean
}

/** Where a task stands in its request, for answers that name it. */
export interface TaskPlace {
  readonly id: string
  /** As `body/tasks/0`. */
  readonly path: string
}

/** A task that cannot be run. The answer names it, and the field. */
export function refuseTask({ id, path }: TaskPlace, field: string, message: string): ProblemError {
  return new ProblemError('invalid_task', `Task ${JSON.stringify(id)}: ${message}`, {
    errors: [{ path: `${path}/${field}`, message }],
  })
}

/** @throws ProblemError `invalid_task` where the timeout is out of range. */
export function plannedTimeoutMs(given: number | undefined, defaultMs: number, place: TaskPlace): number {
  const timeoutMs = given ?? defaultMs
  if (timeoutMs >= MIN_TASK_TIMEOUT_MS && timeoutMs <= MAX_TASK_TIMEOUT_MS) return timeoutMs
  throw refuseTask(
    place,
    'timeoutMs',
    `"timeoutMs" must be from ${MIN_TASK_TIMEOUT_MS} to ${MAX_TASK_TIMEOUT_MS}`,
  )
}

/** @throws ProblemError that names the task: `unknown_handler`, `invalid_task`. */
export function planNamedTask(
  task: NamedTask,
  place: TaskPlace,
  { handlers, defaultTimeoutMs }: { handlers: HandlerRunner; defaultTimeoutMs: number },
): PlannedNamedTask {
  const { name, input } = task
  try {
    handlers.check(name, input)
  } catch (error) {
    if (error instanceof UnknownHandlerError) throw unknownHandler(name, place, handlers.names())
    if (error instanceof HandlerInputError) throw refuseTask(place, 'input', error.message)
    throw error
  }
  return {
    kind: 'named',
    id: place.id,
    name,
    origin: `handler:${name}`,
    input,
    timeoutMs: plannedTimeoutMs(task.timeoutMs, defaultTimeoutMs, place),
    retries: 0,
    idempotent: task.idempotent ?? handlers.find(name)?.idempotent ?? false,
  }
}

function unknownHandler(name: string, { id, path }: TaskPlace, names: readonly string[]): ProblemError {
  const there =
    names.length === 0
      ? 'there are none'
      : `there are ${names.map((name) => JSON.stringify(name)).join(', ')}`
  const message = `no handler is called ${JSON.stringify(name)}; ${there}`
  return new ProblemError('unknown_handler', `Task ${JSON.stringify(id)}: ${message}`, {
    errors: [{ path: `${path}/name`, message }],
  })
}

export interface NamedTaskOptions {
  readonly board: TaskBoard
  readonly handlers: HandlerRunner
  readonly clock: Clock
  readonly log: TaskLog
  /** Default 1. */
  readonly attempt?: number
  /** Ends the task; its reason should say why, with a task's error code. */
  readonly signal: AbortSignal
}

/** Runs a handler, and notes on the board what comes of it. Never rejects. */
export async function runNamedTask(task: PlannedNamedTask, options: NamedTaskOptions): Promise<void> {
  const { board, handlers, clock, log, signal, attempt = 1 } = options
  const fail = (thrown: unknown) => {
    const { message, code } = toErrorData(thrown)
    board.fail(task.id, message, codeOf(code, signal))
  }
  if (signal.aborted) {
    fail(signal.reason)
    return
  }
  const stop = new AbortController()
  const onAbort = () => stop.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  const cancelTimeout = clock.after(task.timeoutMs, () =>
    stop.abort(new TaskError(`The task did not end within ${task.timeoutMs} ms`, { code: 'task_timeout' })),
  )
  try {
    const started = board.start(task.id, attempt)
    // What may not be done twice is not begun before it is stored that it was.
    if (!task.idempotent) await started
    stop.signal.throwIfAborted()
    const body = await handlers.run(task.name, {
      input: task.input,
      taskId: task.id,
      attempt,
      signal: stop.signal,
      log,
      onProgress: (progress) => board.progress(task.id, progress),
    })
    board.complete(task.id, { status: 200, headers: {}, body, truncated: false })
  } catch (error) {
    fail(error)
  } finally {
    cancelTimeout()
    signal.removeEventListener('abort', onAbort)
  }
}

/** The error's own code where it is one of a task's; whoever aborts without one cancels. */
function codeOf(code: string | undefined, signal: AbortSignal): TaskErrorCode {
  if (isTaskErrorCode(code)) return code
  return signal.aborted ? 'cancelled' : 'task_failed'
}
