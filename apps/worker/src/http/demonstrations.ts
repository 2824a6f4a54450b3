import { setTimeout as delay } from 'node:timers/promises'
import { requestWhole } from '@tributary/outbound'
import { StreamQuery, streamQuery } from '@tributary/protocol'
import type { Run, RunOutcome } from '@tributary/runs'
import { type App, principalOf } from '@tributary/service'
import Type from 'typebox'
import type { Deps } from '../deps.ts'
import { startParallelTasks } from './parallel-tasks.ts'
import { replyWithStartedRun } from './run-stream.ts'

const tags = ['demonstrations']

const FlowQuery = Type.Object({
  ...streamQuery,
  count: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, description: 'Events. Default 10.' })),
  intervalMs: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 60_000, description: 'Milliseconds between them. Default 500.' }),
  ),
})

/** Streams to look at, which really call the sample API. In development only. */
export function addDemonstrations(app: App, deps: Deps): void {
  const { sampleUrl } = deps
  if (sampleUrl === undefined) return

  app.get(
    '/api/sse/sample-parallel',
    { schema: { tags, summary: 'Five calls of the sample API at once', querystring: StreamQuery } },
    (request, reply) => {
      const tasks = [
        { id: 'users', name: 'Fetch users', url: `${sampleUrl}/users` },
        { id: 'orders', name: 'Fetch orders', url: `${sampleUrl}/orders` },
        { id: 'slow', name: 'Wait for a slow answer', url: `${sampleUrl}/slow?ms=1200` },
        { id: 'flaky', name: 'Try a flaky service', url: `${sampleUrl}/flaky` },
        { id: 'large', name: 'Download a large text', url: `${sampleUrl}/large?bytes=400000&ms=1500` },
      ]
      const start = () =>
        startParallelTasks({ tasks, maxResultBytes: 2_048 }, principalOf(request).userId, deps)
      return replyWithStartedRun(reply, request.query, start, deps)
    },
  )
  app.get(
    '/api/sse/parallel-tasks-progress',
    { schema: { tags, summary: 'Three downloads with their progress', querystring: StreamQuery } },
    (request, reply) => {
      const tasks = [1_000, 2_000, 3_000].map((ms, index) => ({
        id: `download-${index + 1}`,
        name: `Download ${index + 1}`,
        url: `${sampleUrl}/large?bytes=${(index + 1) * 200_000}&ms=${ms}`,
      }))
      const start = () =>
        startParallelTasks({ tasks, maxResultBytes: 256 }, principalOf(request).userId, deps)
      return replyWithStartedRun(reply, request.query, start, deps)
    },
  )
  app.get(
    '/api/sse/flow-example',
    { schema: { tags, summary: 'One user of the sample API after another', querystring: FlowQuery } },
    (request, reply) => {
      const { count = 10, intervalMs = 500 } = request.query
      const { userId } = principalOf(request)
      const start = () =>
        deps.runs.start({ kind: 'flow', userId, totalTasks: count }, (run) =>
          flow(run, { count, intervalMs, sampleUrl, client: deps.client }),
        )
      return replyWithStartedRun(reply, request.query, start, deps)
    },
  )
}

interface Flow {
  readonly count: number
  readonly intervalMs: number
  readonly sampleUrl: string
  readonly client: Deps['client']
}

/** Fetches users one after the other, an event for each. */
async function flow(run: Run, { count, intervalMs, sampleUrl, client }: Flow): Promise<RunOutcome> {
  let step = 0
  try {
    for (step = 1; step <= count; step++) {
      const answer = await requestWhole(
        client,
        { url: `${sampleUrl}/users/${((step - 1) % 10) + 1}` },
        run.signal,
      )
      const item: unknown = JSON.parse(new TextDecoder().decode(answer.body))
      await run.append({ type: 'flow_item', data: { step, item }, source: 'worker' })
      const progress = Math.round((step / count) * 100)
      await run.emit('progress', { step, totalSteps: count, progress })
      run.count({ successCount: step, errorCount: 0 })
      if (step < count) await delay(intervalMs, undefined, { signal: run.signal })
    }
    return { totalTasks: count, successCount: count, errorCount: 0, errors: [] }
  } catch (error) {
    if (!run.signal.aborted) throw error
    const successCount = step - 1
    return { totalTasks: count, successCount, errorCount: count - successCount, errors: [] }
  }
}
