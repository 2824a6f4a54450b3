import { CancelAnswer, RunList, RunParams, RunView, StreamQuery } from '@tributary/protocol'
import type { App } from '@tributary/service'
import type { Deps } from '../deps.ts'
import { findRun, replyWithRun } from './run-stream.ts'

const tags = ['runs']

/** The routes that tell of runs, stream them and cancel them. */
export function addRuns(app: App, deps: Deps): void {
  app.get(
    '/api/runs',
    { schema: { tags, summary: 'The runs there are, newest first', response: { 200: RunList } } },
    async () => ({ runs: deps.runs.list().map((run) => run.view()) }),
  )
  app.get(
    '/api/runs/:runId',
    { schema: { tags, summary: 'Where a run stands', params: RunParams, response: { 200: RunView } } },
    async ({ params }) => findRun(params.runId, deps).view(),
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
    ({ params, query }, reply) => replyWithRun(reply, findRun(params.runId, deps), query, 'standard', deps),
  )
  app.post(
    '/api/runs/:runId/cancel',
    { schema: { tags, summary: 'Cancel a run', params: RunParams, response: { 200: CancelAnswer } } },
    async ({ params }) => {
      const run = findRun(params.runId, deps)
      const cancelled = deps.runs.cancel(run)
      await run.ended
      return { runId: run.id, status: run.status, cancelled }
    },
  )
}
