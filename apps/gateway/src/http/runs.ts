import { CancelAnswer, RunList, RunListQuery, RunParams, RunView, StreamQuery } from '@tributary/protocol'
import { pageOfRuns } from '@tributary/runs'
import type { App } from '@tributary/service'
import type { Deps } from '../deps.ts'
import { findRun, replyWithRun } from './run-stream.ts'

const tags = ['runs']

/** The routes that tell of runs, stream them and cancel them: this gateway's and its workers'. */
export function addRuns(app: App, deps: Deps): void {
  const { runs, pool } = deps
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
    async ({ query }) => pageOfRuns([...runs.list(query).runs, ...(await pool.list())], query),
  )
  app.get(
    '/api/runs/:runId',
    { schema: { tags, summary: 'Where a run stands', params: RunParams, response: { 200: RunView } } },
    async ({ params: { runId } }) => {
      const own = runs.get(runId)
      return own === undefined
        ? pool.ask(await pool.locate(runId), RunView, `/api/runs/${runId}`)
        : own.view()
    },
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
    async ({ params, query }, reply) =>
      replyWithRun(reply, await findRun(params.runId, deps), query, 'standard', deps),
  )
  app.post(
    '/api/runs/:runId/cancel',
    { schema: { tags, summary: 'Cancel a run', params: RunParams, response: { 200: CancelAnswer } } },
    async ({ params: { runId } }) => {
      const own = runs.get(runId)
      if (own === undefined) {
        return pool.ask(await pool.locate(runId), CancelAnswer, `/api/runs/${runId}/cancel`, 'POST')
      }
      const cancelled = runs.cancel(own)
      await own.ended
      return { runId, status: own.status, cancelled }
    },
  )
}
