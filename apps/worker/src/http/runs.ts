import { CancelAnswer, type Clock, RunList, RunListQuery, RunParams, RunView } from '@tributary/protocol'
import type { KnownRun } from '@tributary/runs'
import type { App } from '@tributary/service'
import type { Deps } from '../deps.ts'
import { RunEventsQuery, replyWithRun } from './run-stream.ts'

const tags = ['runs']

/** How long a cancel waits for the run to have ended. Longer it takes only where nothing can be stored. */
const CANCEL_WAIT_MS = 10_000

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
    { schema: { tags, summary: 'Cancel a run', params: RunParams, response: { 200: CancelAnswer } } },
    async ({ params }) => {
      const run = deps.runs.find(params.runId)
      const cancelled = deps.runs.cancel(run)
      await endOf(run, deps.clock)
      return { runId: run.id, status: run.status, cancelled }
    },
  )
}

async function endOf(run: KnownRun, clock: Clock): Promise<void> {
  const late = Promise.withResolvers<void>()
  const cancel = clock.after(CANCEL_WAIT_MS, late.resolve)
  await Promise.race([run.ended, late.promise])
  cancel()
}
