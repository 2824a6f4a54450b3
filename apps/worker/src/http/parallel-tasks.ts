import { IdempotencyHeaders, ParallelTasksRequest, RunAccepted, StreamQuery } from '@tributary/protocol'
import { type App, principalOf } from '@tributary/service'
import { replyCursor } from '@tributary/sse/fastify'
import type { Deps } from '../deps.ts'
import { planParallelTasks } from '../tasks/parallel-tasks.ts'
import { replyWithNewRun } from './run-stream.ts'
import { startRun } from './start-run.ts'

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
        produces: ['text/event-stream'],
        response: { 202: RunAccepted },
      },
    },
    async (request, reply) => {
      // A cursor that is none is refused before anything has begun.
      replyCursor(reply, request.query)
      const { userId } = principalOf(request)
      const key = request.headers['idempotency-key']
      const start = () => startRun({ userId, key }, planParallelTasks(request.body, deps), deps)
      return replyWithNewRun(reply, request.query, start, deps)
    },
  )
}
