import Type, { type Static } from 'typebox'
import { TASK_ERROR_CODES, type TaskErrorCode } from './error-code.ts'
import { NAME_CHARACTERS } from './name.ts'
import { TaskHeader } from './task-header.ts'

export const TaskId = Type.String({ minLength: 1, maxLength: 128, pattern: NAME_CHARACTERS })

const NAME = { minLength: 1, maxLength: 256, pattern: NAME_CHARACTERS }

export const HTTP_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const
export type HttpMethod = (typeof HTTP_METHODS)[number]

/** The bounds of a task's own timeout, in ms. */
export const MIN_TASK_TIMEOUT_MS = 1
export const MAX_TASK_TIMEOUT_MS = 600_000
/** The most a task may be tried again. */
export const MAX_TASK_RETRIES = 10

const TimeoutMs = Type.Integer({
  minimum: MIN_TASK_TIMEOUT_MS,
  maximum: MAX_TASK_TIMEOUT_MS,
  description: 'Milliseconds for one attempt, from the connect to the last byte. Default TASK_TIMEOUT_MS.',
})

/** A call to an external API. */
export const HttpTask = Type.Object(
  {
    id: Type.Optional(TaskId),
    name: Type.Optional(Type.String({ ...NAME, description: 'What people call it. Default: the id.' })),
    url: Type.String({ minLength: 1, maxLength: 8192, description: 'An http or https address.' }),
    method: Type.Optional(Type.Enum(HTTP_METHODS, { description: 'Default GET.' })),
    headers: Type.Optional(
      Type.Record(Type.String(), TaskHeader, {
        description:
          'Sent as given, or as a secret of the worker: `{"$secret": "NAME"}`. A literal credential is kept in ' +
          'memory alone: after a crash its task ends in `worker_lost`.',
      }),
    ),
    body: Type.Optional(
      Type.Unknown({
        description:
          'A string is sent as it is; any other JSON as JSON, with its content type, and with the value of a ' +
          'secret of the worker wherever it has `{"$secret": "NAME"}`.',
      }),
    ),
    timeoutMs: Type.Optional(TimeoutMs),
    retries: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MAX_TASK_RETRIES,
        description: 'Further attempts of an idempotent task. Default 2.',
      }),
    ),
    idempotent: Type.Optional(
      Type.Boolean({
        description: 'Whether it may be called again. Default: true for GET, HEAD and OPTIONS.',
      }),
    ),
  },
  { additionalProperties: false },
)
export type HttpTask = Static<typeof HttpTask>

/** A call of a registered handler. */
export const NamedTask = Type.Object(
  {
    id: Type.Optional(TaskId),
    name: Type.String({ ...NAME, description: 'The name the handler is registered under.' }),
    input: Type.Optional(Type.Unknown({ description: 'What the handler takes; it has its own schema.' })),
    timeoutMs: Type.Optional(TimeoutMs),
    idempotent: Type.Optional(Type.Boolean({ description: 'Default: what the handler says of itself.' })),
  },
  { additionalProperties: false },
)
export type NamedTask = Static<typeof NamedTask>

/** A task in a request: an HTTP call, a handler with its input, or just a handler's name. */
export const TaskSpec = Type.Union([Type.String(NAME), HttpTask, NamedTask])
export type TaskSpec = Static<typeof TaskSpec>

export const TaskErrorCodeSchema = Type.Enum(
  Object.keys(TASK_ERROR_CODES) as [TaskErrorCode, ...TaskErrorCode[]],
)

/** How a failed task is counted in `aggregated_result` and `complete`. */
export const TaskFailure = Type.Object({
  taskId: Type.String(),
  error: Type.String({ description: 'What went wrong, for people.' }),
  code: TaskErrorCodeSchema,
})
export type TaskFailure = Static<typeof TaskFailure>

/** What a task brought. */
export const TaskResult = Type.Object({
  status: Type.Integer({ description: 'The HTTP status; 200 for a handler.' }),
  headers: Type.Record(Type.String(), Type.String()),
  body: Type.Unknown({
    description:
      'Parsed where the answer says JSON, text where it says text, base64 with `encoding` otherwise.',
  }),
  encoding: Type.Optional(Type.Literal('base64')),
  truncated: Type.Boolean({ description: 'Whether the body was cut; JSON that is cut becomes a string.' }),
})
export type TaskResult = Static<typeof TaskResult>
