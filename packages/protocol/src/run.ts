import Type, { type Static } from 'typebox'
import { TaskFailure } from './task.ts'

/** `unreachable` while the node that executes it is away, or is cut off for so long that another may have it by now. */
export const RunStatus = Type.Enum([
  'accepted',
  'running',
  'succeeded',
  'partial',
  'failed',
  'cancelled',
  'expired',
  'unreachable',
])
export type RunStatus = Static<typeof RunStatus>

/** The states a run ends in. */
export const FinalRunStatus = Type.Enum(['succeeded', 'partial', 'failed', 'cancelled', 'expired'])
export type FinalRunStatus = Static<typeof FinalRunStatus>

export const RunKind = Type.Enum(['parallel-tasks', 'flow', 'relay', 'merge', 'hybrid'])
export type RunKind = Static<typeof RunKind>

/** A run as `GET /api/runs/:id` tells it. */
export const RunView = Type.Object(
  {
    runId: Type.String(),
    kind: RunKind,
    userId: Type.String({ description: 'Who started it. He and admins may read and cancel it.' }),
    status: RunStatus,
    startedAt: Type.Number({ description: 'Milliseconds since 1970.' }),
    endedAt: Type.Optional(Type.Number({ description: 'Milliseconds since 1970.' })),
    totalTasks: Type.Integer(),
    successCount: Type.Integer(),
    errorCount: Type.Integer(),
    lastEventId: Type.Optional(Type.String({ description: 'The newest event of its log.' })),
  },
  { title: 'Run' },
)
export type RunView = Static<typeof RunView>

/** Which runs `GET /api/runs` tells of. */
export const RunListQuery = Type.Object({
  status: Type.Optional(RunStatus),
  kind: Type.Optional(RunKind),
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1_000, description: 'Runs in the answer. Default 100.' }),
  ),
  after: Type.Optional(
    Type.String({ maxLength: 128, description: 'The `next` of the answer before: the page after it.' }),
  ),
})
export type RunListQuery = Static<typeof RunListQuery>

export const RunList = Type.Object({
  runs: Type.Array(RunView),
  next: Type.Optional(
    Type.String({ description: 'There where there are more: the `after` of the next page.' }),
  ),
  unreachable: Type.Optional(
    Type.Array(Type.String(), {
      description:
        'The addresses of workers that did not answer. Of their runs those are listed that the gateway remembers, as ' +
        '`unreachable` where they had not ended.',
    }),
  ),
})
export type RunList = Static<typeof RunList>

/** The answer to a start that asked for JSON instead of the stream. */
export const RunAccepted = Type.Object({
  runId: Type.String(),
  status: RunStatus,
  events: Type.String({ description: 'Where its events are read.' }),
})
export type RunAccepted = Static<typeof RunAccepted>

export const CancelAnswer = Type.Object({
  runId: Type.String(),
  status: RunStatus,
  cancelled: Type.Boolean({
    description:
      'False where the run had ended already, or has ended otherwise. True with a status that is not final: it is not over after 10 s, and ends as cancelled unless its end was under way before.',
  }),
})
export type CancelAnswer = Static<typeof CancelAnswer>

/** The data of the one event that closes a run's log. */
export const CompleteData = Type.Object({
  runId: Type.String(),
  status: FinalRunStatus,
  totalTasks: Type.Integer(),
  successCount: Type.Integer(),
  errorCount: Type.Integer(),
  errors: Type.Array(TaskFailure),
  durationMs: Type.Number(),
  truncated: Type.Optional(
    Type.Literal(true, { description: 'Errors were left out for their size. The counts are whole.' }),
  ),
})
export type CompleteData = Static<typeof CompleteData>

export const RunParams = Type.Object({
  runId: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'As `Run-Id` says it.' }),
})
