import type { Static, TSchema, TUnknown } from 'typebox'
import type { ProgressReport } from './task-progress.ts'

/** An HTTP call of a handler. It goes through the host's guarded client. */
export interface HandlerRequest {
  readonly url: string
  /** Default GET. */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** The most bytes of an answer. Default: the host's limit, which cannot be exceeded. */
  readonly maxBytes?: number
  /** From the connect to the last byte. Default: the host's. */
  readonly timeoutMs?: number
}

/** An HTTP answer of any status. The bytes are the receiver's own. */
export interface HandlerResponse {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** The host's guarded HTTP client. Rejects where no answer came, with the reason of `signal` once that is aborted. */
export type HandlerRequester = (
  request: HandlerRequest,
  options: { readonly signal: AbortSignal },
) => Promise<HandlerResponse>

export type LogLevel = 'info' | 'warn' | 'error'

/** A constant message, and its data as fields. */
export type TaskLog = Readonly<
  Record<LogLevel, (message: string, fields?: Readonly<Record<string, unknown>>) => void>
>

/** What a handler is given beside its input. */
export interface TaskContext {
  readonly taskId: string
  /** 1 for the first. */
  readonly attempt: number
  /**
   * Aborted when the task is to stop. A `cpuBound` task's is never seen aborted: its thread is ended instead, in
   * the middle of whatever it does.
   */
  readonly signal: AbortSignal
  readonly log: TaskLog
  /** The worker's own sample API, for handlers that show something without an input; absent in production. */
  readonly sampleUrl?: string
  /** Tells how far the work is. Ignored once the task has ended. */
  progress(report: ProgressReport): void
  /** Calls out through the host's guarded client, until the task ends or is aborted. */
  request(request: HandlerRequest): Promise<HandlerResponse>
}

export interface TaskOptions<Schema extends TSchema = TUnknown, Output = unknown> {
  /** What a request calls it by: 1 to 256 characters, none of them a control. Unique in a process. */
  readonly name: string
  /** What `run` takes; anything where absent. An input that a request leaves out counts as `{}` if that fits. */
  readonly input?: Schema
  /** Whether `run` computes rather than waits, and so belongs in a thread of its own. Default false. */
  readonly cpuBound?: boolean
  /** Whether it may be started again after it was lost halfway. Default false. */
  readonly idempotent?: boolean
  /** The `totalSteps` of each progress that names a step alone. */
  readonly totalSteps?: number
  /** Does the work. The result must be JSON; nothing at all counts as `null`. */
  run(context: TaskContext, input: Static<Schema>): Output | Promise<Output>
}

// Of the global registry, so that a second copy of this module knows the tasks of the first.
const TASK: unique symbol = Symbol.for('tributary.task')

/** A named piece of work, as `defineTask` makes it. */
export interface TaskDefinition<Schema extends TSchema = TSchema, Output = unknown>
  extends TaskOptions<Schema, Output> {
  readonly [TASK]: true
  readonly cpuBound: boolean
  readonly idempotent: boolean
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: controls are what a name must not hold
const TASK_NAME = /^[^\u0000-\u001f\u007f\ud800-\udfff]{1,256}$/u

/**
 * Defines a task that requests call by name. The types of `input` follow from its schema.
 *
 * @throws TypeError for a name that no request could hold, or a `totalSteps` that is no whole number ≥ 1.
 */
export function defineTask<const Schema extends TSchema = TUnknown, Output = unknown>(
  options: TaskOptions<Schema, Output>,
): TaskDefinition<Schema, Output> {
  const { name, totalSteps } = options
  if (!TASK_NAME.test(name)) {
    throw new TypeError(
      'A task is named by 1 to 256 characters, none of them a control or half of a surrogate pair',
    )
  }
  if (totalSteps !== undefined && (!Number.isSafeInteger(totalSteps) || totalSteps < 1)) {
    throw new TypeError(`${name}: totalSteps must be a whole number, at least 1`)
  }
  return Object.freeze({
    ...options,
    cpuBound: options.cpuBound ?? false,
    idempotent: options.idempotent ?? false,
    [TASK]: true as const,
  })
}

/** Whether a value, as a module's export, was made by `defineTask`. */
export function isTask(value: unknown): value is TaskDefinition {
  return typeof value === 'object' && value !== null && TASK in value
}
