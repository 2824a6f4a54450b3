import { CancelAnswer, RunEventsQuery, RunList, RunListQuery, RunParams, RunView } from '@tributary/protocol'
import { cancelRun } from '@tributary/runs'
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
      config: { rateClass: 'connects' },
      schema: {
        tags,
        summary: 'The events of a run, from the first or from a cursor',
        description:
          'A stream; with `Accept: application/json` a page, which waits up to `wait` ms for the first event. Past the ' +
          'end of the run a stream is answered 204.',
        params: RunParams,
        querystring: RunEventsQuery,
      },
    },
    ({ params, query }, reply) => replyWithRun(reply, deps.runs.find(params.runId), query, deps),
  )
  app.post(
    '/api/runs/:runId/cancel',
    {
      schema: {
        tags,
        summary: 'Cancel a run',
        description:
          'Answers once the run has ended, or after 10 s. Where it cannot be stored by then, with 503: the run stops, ' +
          'but a crash would undo that.',
        params: RunParams,
        response: { 200: CancelAnswer },
      },
    },
    async ({ params }) => cancelRun(deps.runs.find(params.runId), deps.runs, deps.clock),
  )
}
