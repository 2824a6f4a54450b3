import type { TaskErrorCode } from '@tributary/protocol'

/** Thrown by a handler to say how its task failed: the code goes into the `task_error`. */
export class TaskError extends Error {
  override readonly name = 'TaskError'
  readonly code: TaskErrorCode
  /** Whether the same call may succeed later. */
  readonly retryable: boolean

  constructor(message: string, options: ErrorOptions & { code?: TaskErrorCode; retryable?: boolean } = {}) {
    super(message, options)
    this.code = options.code ?? 'task_failed'
    this.retryable = options.retryable ?? false
  }
}

/** A file of a handler folder that cannot be registered. */
export class HandlerLoadError extends Error {
  override readonly name = 'HandlerLoadError'
  readonly code = 'invalid_handler'
  readonly retryable = false
}

/** Nobody registered a handler of this name. */
export class UnknownHandlerError extends Error {
  override readonly name = 'UnknownHandlerError'
  readonly code = 'unknown_handler'
  readonly retryable = false

  constructor(handlerName: string) {
    super(`No handler is named ${JSON.stringify(handlerName)}`)
  }
}

/** What is wrong with one field of an input. */
export interface InputFault {
  /** `input`, `input/width`, `input/numbers/3`. */
  readonly path: string
  readonly message: string
}

/** An input that the handler's schema refuses. */
export class HandlerInputError extends Error {
  override readonly name = 'HandlerInputError'
  readonly code = 'invalid_task'
  readonly retryable = false
  readonly errors: readonly InputFault[]

  constructor(handlerName: string, errors: readonly InputFault[]) {
    super(`${handlerName}: ${errors.map(({ path, message }) => `${path} ${message}`).join('; ')}`)
    this.errors = errors
  }
}

/** A handler's result that is not JSON. */
export class HandlerResultError extends Error {
  override readonly name = 'HandlerResultError'
  readonly code = 'task_failed'
  readonly retryable = false
}

/** The thread that a task ran in is gone: it exited, ran out of memory, or never started. */
export class ThreadLostError extends Error {
  override readonly name = 'ThreadLostError'
  readonly code = 'task_failed'
  readonly retryable = false
}

/** All threads are busy and as many tasks wait as may. */
export class ThreadQueueFullError extends Error {
  override readonly name = 'ThreadQueueFullError'
  readonly code = 'overloaded'
  readonly retryable = true

  constructor(maxThreads: number, maxQueue: number) {
    super(`All ${maxThreads} threads are busy and ${maxQueue} tasks wait for one already`)
  }
}

/** The runner was closed before the task had ended, or before it began. */
export class HandlerRunnerClosedError extends Error {
  override readonly name = 'HandlerRunnerClosedError'
  readonly code = 'worker_lost'
  readonly retryable = false

  constructor() {
    super('The process that ran the task is closing')
  }
}
