import { IdempotencyHeaders, RunAccepted, StreamQuery, streamQuery, type TaskSpec } from '@tributary/protocol'
import { type App, principalOf } from '@tributary/service'
import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import type { Deps } from '../deps.ts'
import { planFlow } from '../tasks/flow.ts'
import { type PlannedRun, planParallelTasks } from '../tasks/parallel-tasks.ts'
import { replyWithStartedRun } from './run-stream.ts'
import { startRun } from './start-run.ts'

const common = {
  tags: ['demonstrations'],
  headers: IdempotencyHeaders,
  produces: ['text/event-stream'],
  response: { 202: RunAccepted },
}

const FlowQuery = Type.Object({
  ...streamQuery,
  count: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, description: 'Events. Default 10.' })),
  intervalMs: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 60_000, description: 'Milliseconds between them. Default 500.' }),
  ),
})

type KeyedRequest = FastifyRequest & { headers: IdempotencyHeaders }

/** Streams to look at, which really call the sample API. In development only. */
export function addDemonstrations(app: App, deps: Deps): void {
  const { sampleUrl } = deps
  if (sampleUrl === undefined) return
  const start = (request: KeyedRequest, planned: PlannedRun) =>
    startRun({ userId: principalOf(request).userId, key: request.headers['idempotency-key'] }, planned, deps)
  const startTasks = (request: KeyedRequest, tasks: TaskSpec[], maxResultBytes: number) =>
    start(request, planParallelTasks({ tasks, maxResultBytes }, deps))

  app.get(
    '/api/sse/sample-parallel',
    { schema: { ...common, summary: 'Five calls of the sample API at once', querystring: StreamQuery } },
    async (request, reply) => {
      const tasks = [
        { id: 'users', name: 'Fetch users', url: `${sampleUrl}/users` },
        { id: 'orders', name: 'Fetch orders', url: `${sampleUrl}/orders` },
        { id: 'slow', name: 'Wait for a slow answer', url: `${sampleUrl}/slow?ms=1200` },
        { id: 'flaky', name: 'Try a flaky service', url: `${sampleUrl}/flaky` },
        { id: 'large', name: 'Download a large text', url: `${sampleUrl}/large?bytes=400000&ms=1500` },
      ]
      return replyWithStartedRun(reply, request.query, () => startTasks(request, tasks, 2_048), deps)
    },
  )
  app.get(
    '/api/sse/parallel-tasks-progress',
    { schema: { ...common, summary: 'Three downloads with their progress', querystring: StreamQuery } },
    async (request, reply) => {
      const tasks = [1_000, 2_000, 3_000].map((ms, index) => ({
        id: `download-${index + 1}`,
        name: `Download ${index + 1}`,
        url: `${sampleUrl}/large?bytes=${(index + 1) * 200_000}&ms=${ms}`,
      }))
      return replyWithStartedRun(reply, request.query, () => startTasks(request, tasks, 256), deps)
    },
  )
  app.get(
    '/api/sse/flow-example',
    {
      schema: { ...common, summary: 'One user of the sample API after another', querystring: FlowQuery },
    },
    async (request, reply) => {
      const { count = 10, intervalMs = 500 } = request.query
      const begin = () => start(request, planFlow({ count, intervalMs }, deps))
      return replyWithStartedRun(reply, request.query, begin, deps)
    },
  )
}
