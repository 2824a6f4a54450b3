import Type, { type Static } from 'typebox'
import { NAME_CHARACTERS } from './name.ts'
import { HTTP_METHODS, TaskSpec } from './task.ts'

/** The most of a task's body that its event carries, in bytes. */
export const DEFAULT_MAX_RESULT_BYTES = 65_536

/** What a reader who leaves means to a run: nothing, or its end once nobody is left. */
export const OnDisconnect = Type.Enum(['continue', 'cancel'], {
  description:
    '`cancel`: the run ends DISCONNECT_GRACE_MS after nobody reads it any more. Default `continue`: readers change nothing.',
})
export type OnDisconnect = Static<typeof OnDisconnect>

const runOptions = {
  concurrency: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: 'Tasks at a time. Default TASK_CONCURRENCY, at most TASK_CONCURRENCY_MAX.',
    }),
  ),
  failFast: Type.Optional(
    Type.Boolean({ description: 'Whether the first failed task cancels the others. Default false.' }),
  ),
  deadlineMs: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 86_400_000,
      description: 'Milliseconds for the whole run. Default: none.',
    }),
  ),
  maxResultBytes: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: DEFAULT_MAX_RESULT_BYTES,
      description: 'Bytes of a body in an event, beyond which it is cut. Default 65536.',
    }),
  ),
  onDisconnect: Type.Optional(OnDisconnect),
}

/** The body of `POST /api/sse/emitter/parallel-tasks`. How many tasks there may be is the worker's to say. */
export const ParallelTasksRequest = Type.Object(
  { tasks: Type.Array(TaskSpec, { description: '1 to MAX_TASKS tasks.' }), ...runOptions },
  { additionalProperties: false },
)
export type ParallelTasksRequest = Static<typeof ParallelTasksRequest>

/** The body of the hybrid endpoint: handlers of the gateway, and handlers or HTTP tasks of a worker. */
export const HybridRequest = Type.Object(
  {
    localTasks: Type.Optional(Type.Array(TaskSpec, { description: 'Run by the gateway. Handlers only.' })),
    remoteTasks: Type.Optional(Type.Array(TaskSpec, { description: 'Run by a worker.' })),
    ...runOptions,
  },
  { additionalProperties: false },
)
export type HybridRequest = Static<typeof HybridRequest>

const Endpoint = Type.String({
  minLength: 1,
  maxLength: 8192,
  description: 'A path of the worker (`/api/sse/…`), or an address of an allowed origin.',
})

const SourceName = Type.String({ minLength: 1, maxLength: 128, pattern: NAME_CHARACTERS })

/** One of several streams to merge; its name, the endpoint by default, is the `source` of its events. */
export const MergeSource = Type.Union([
  Endpoint,
  Type.Object({ name: Type.Optional(SourceName), endpoint: Endpoint }, { additionalProperties: false }),
])
export type MergeSource = Static<typeof MergeSource>

/** The most streams that one merge reads. */
export const MAX_MERGE_SOURCES = 32

export const MergeRequest = Type.Array(MergeSource, { minItems: 1, maxItems: MAX_MERGE_SOURCES })
export type MergeRequest = Static<typeof MergeRequest>

export const RelayRequest = Type.Object(
  {
    endpoint: Endpoint,
    method: Type.Optional(
      Type.Enum(HTTP_METHODS, { description: 'Default GET, or POST where there is a body.' }),
    ),
    body: Type.Optional(Type.Unknown({ description: 'Sent as JSON; a string as it is.' })),
  },
  { additionalProperties: false },
)
export type RelayRequest = Static<typeof RelayRequest>
