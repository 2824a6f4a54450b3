import { IdempotencyHeaders, ParallelTasksRequest, RunAccepted, StreamQuery } from '@tributary/protocol'
import { onceKey, type StartedOnce } from '@tributary/runs'
import { type App, principalOf } from '@tributary/service'
import { replyCursor } from '@tributary/sse/fastify'
import type { Deps } from '../deps.ts'
import { planParallelTasks } from '../tasks/parallel-tasks.ts'
import { replyWithNewRun } from './run-stream.ts'

/** The route that starts parallel tasks. */
export function addParallelTasks(app: App, deps: Deps): void {
  app.post(
    '/api/sse/emitter/parallel-tasks',
    {
      schema: {
        tags: ['runs'],
        summary: 'Run tasks in parallel and stream what happens',
        description:
          'Answers with the stream of the run; with `Accept: application/json`, with 202 and where to read it. The ' +
          'same `Idempotency-Key` answers the same run.',
        headers: IdempotencyHeaders,
        querystring: StreamQuery,
        body: ParallelTasksRequest,
        response: { 202: RunAccepted },
      },
    },
    async (request, reply) => {
      // A cursor that is none is refused before anything has begun.
      replyCursor(reply, request.query)
      const { userId } = principalOf(request)
      const key = request.headers['idempotency-key']
      const { run, replayed } = await startParallelTasks(request.body, { userId, key }, deps)
      if (replayed) reply.header('idempotent-replayed', 'true')
      return replyWithNewRun(reply, run, request.query, deps)
    },
  )
}

interface WhoStarts {
  readonly userId: string
  /** The `Idempotency-Key`. Default: each request starts a run. */
  readonly key?: string | undefined
}

/** Starts a run of these tasks. @throws ProblemError where the request cannot be run; it names the task. */
async function startParallelTasks(
  body: ParallelTasksRequest,
  { userId, key }: WhoStarts,
  deps: Deps,
): Promise<StartedOnce> {
  const { runs, config } = deps
  const { start, work } = planParallelTasks(body, deps)
  const options = { ...start, userId }
  if (key === undefined) return { run: await runs.start(options, work), replayed: false }
  const once = onceKey(key, { userId, request: body, windowMs: config.IDEMPOTENCY_WINDOW_MS })
  return runs.startOnce(once, options, work)
}
