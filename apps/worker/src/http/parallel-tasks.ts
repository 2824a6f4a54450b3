import {
  DEFAULT_MAX_RESULT_BYTES,
  ParallelTasksRequest,
  ProblemError,
  RunAccepted,
  StreamQuery,
  type TaskSpec,
} from '@tributary/protocol'
import type { Run } from '@tributary/runs'
import { type App, messageFirst, principalOf } from '@tributary/service'
import { replyCursor } from '@tributary/sse/fastify'
import type { Deps } from '../deps.ts'
import { runTasks } from '../tasks/run-tasks.ts'
import { planTasks } from '../tasks/task-plan.ts'
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
          'Answers with the stream of the run; with `Accept: application/json`, with 202 and where to read it.',
        querystring: StreamQuery,
        body: ParallelTasksRequest,
        response: { 202: RunAccepted },
      },
    },
    async (request, reply) => {
      // A cursor that is none is refused before anything has begun.
      replyCursor(reply, request.query)
      const run = await startParallelTasks(request.body, principalOf(request).userId, deps)
      return replyWithNewRun(reply, run, request.query, deps)
    },
  )
}

/** Starts a run of these tasks. @throws ProblemError where the request cannot be run; it names the task. */
export function startParallelTasks(body: ParallelTasksRequest, userId: string, deps: Deps): Promise<Run> {
  const { config, handlers, runs, scheduler, client, clock, random, logger } = deps
  const { TASK_CONCURRENCY, TASK_CONCURRENCY_MAX, MAX_TASKS, TASK_TIMEOUT_MS } = config
  const { failFast = false, deadlineMs, maxResultBytes = DEFAULT_MAX_RESULT_BYTES } = body
  const concurrency = body.concurrency ?? Math.min(TASK_CONCURRENCY, TASK_CONCURRENCY_MAX)
  if (concurrency > TASK_CONCURRENCY_MAX) {
    const message = `must be at most ${TASK_CONCURRENCY_MAX}`
    throw new ProblemError('invalid_request', `"concurrency" ${message}.`, {
      errors: [{ path: 'body/concurrency', message }],
    })
  }
  const specs: readonly TaskSpec[] = body.tasks
  const tasks = planTasks(specs, { maxTasks: MAX_TASKS, defaultTimeoutMs: TASK_TIMEOUT_MS, handlers })
  const log = messageFirst(logger)
  const services = {
    client,
    handlers,
    scheduler,
    clock,
    random,
    log,
    maxBodyBytes: config.TASK_MAX_BODY_BYTES,
    maxEventBytes: config.MAX_EVENT_BYTES,
  }
  const work = runTasks(tasks, { concurrency, failFast, maxResultBytes }, services)
  const limit = deadlineMs === undefined ? {} : { deadlineMs }
  return runs.start({ kind: 'parallel-tasks', userId, totalTasks: tasks.length, ...limit }, work)
}
