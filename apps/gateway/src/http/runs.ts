import {
  CancelAnswer,
  PollAnswer,
  RunEventsQuery,
  RunList,
  RunListQuery,
  RunParams,
  RunView,
  unreachableOf,
} from '@tributary/protocol'
import { cancelRun, pageOfRuns } from '@tributary/runs'
import { type App, ownerSeenBy, prefersJson, principalOf } from '@tributary/service'
import type { Deps } from '../deps.ts'
import { replyWithRunPage } from './run-page.ts'
import { findRun, replyWithRun, withRun } from './run-stream.ts'

const tags = ['runs']

/** The routes that tell of runs, stream them and cancel them: this gateway's and its workers', to who started them, and to admins. */
export function addRuns(app: App, deps: Deps): void {
  const { runs, remoteRuns } = deps
  app.get(
    '/api/runs',
    {
      schema: {
        tags,
        summary: 'The runs of who asks, newest first; all for an admin',
        querystring: RunListQuery,
        response: { 200: RunList },
      },
    },
    async (request) => {
      const { query } = request
      const asker = principalOf(request)
      const own = await runs.list(query, ownerSeenBy(asker))
      const remote = await remoteRuns.list(query, asker)
      const { runs: page, next } = pageOfRuns([...own.runs, ...remote.runs], query)
      // Where none of the others came before it, what one side has more begins behind this page, too.
      const more = next ?? own.next ?? remote.next
      const { unreachable } = remote
      return {
        runs: page,
        ...(more === undefined ? {} : { next: more }),
        ...unreachableOf(unreachable),
      }
    },
  )
  app.get(
    '/api/runs/:runId',
    { schema: { tags, summary: 'Where a run stands', params: RunParams, response: { 200: RunView } } },
    async (request) => {
      const { runId } = request.params
      const asker = principalOf(request)
      return withRun(runId, asker, deps, {
        own: (run) => run.view(),
        other: () => remoteRuns.view(runId, asker),
      })
    },
  )
  app.get(
    '/api/runs/:runId/events',
    {
      // Who comes back while the gateway drains is told to come again, within a stream.
      config: { whileDraining: 'serve', rateClass: 'connects' },
      schema: {
        tags,
        summary: 'The events of a run, from the first or from a cursor',
        description:
          'A stream; with `Accept: application/json`, a page, which waits for its first event if asked to.',
        params: RunParams,
        querystring: RunEventsQuery,
        produces: ['text/event-stream'],
        response: { 200: PollAnswer },
      },
    },
    async ({ params: { runId }, query }, reply) =>
      prefersJson(reply)
        ? replyWithRunPage(reply, runId, query, deps)
        : replyWithRun(
            reply,
            () => findRun(runId, principalOf(reply.request), deps),
            query,
            'standard',
            deps,
          ),
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
    async (request) => {
      const { runId } = request.params
      const asker = principalOf(request)
      return withRun(runId, asker, deps, {
        own: (run) => cancelRun(run, runs, deps.clock),
        other: () => remoteRuns.cancel(runId, asker),
      })
    },
  )
}
