import { CancelAnswer, RunList, RunListQuery, RunParams, RunView, StreamQuery } from '@tributary/protocol'
import type { App } from '@tributary/service'
import type { Deps } from '../deps.ts'
import { replyWithRun } from './run-stream.ts'

const tags = ['runs']

/** The routes that tell of runs, stream them and cancel them. */
export function addRuns(app: App, deps: Deps): void {
  app.get(
    '/api/runs',
    {
      schema: {
        tags,
        summary: 'The runs there are, newest first',
        querystring: RunListQuery,
        response: { 200: RunList },
      },
    },
    async ({ query }) => deps.runs.list(query),
  )
  app.get(
    '/api/runs/:runId',
    { schema: { tags, summary: 'Where a run stands', params: RunParams, response: { 200: RunView } } },
    async ({ params }) => deps.runs.find(params.runId).view(),
  )
  app.get(
    '/api/runs/:runId/events',
    {
      schema: {
        tags,
        summary: 'The events of a run, from the first or from a cursor',
        params: RunParams,
        querystring: StreamQuery,
      },
    },
    ({ params, query }, reply) => replyWithRun(reply, deps.runs.find(params.runId), query, 'standard', deps),
  )
  app.post(
    '/api/runs/:runId/cancel',
    { schema: { tags, summary: 'Cancel a run', params: RunParams, response: { 200: CancelAnswer } } },
    async ({ params }) => {
      const run = deps.runs.find(params.runId)
      const cancelled = deps.runs.cancel(run)
      await run.ended
      return { runId: run.id, status: run.status, cancelled }
    },
  )
}
