import {
  CancelAnswer,
  PollAnswer,
  RunEventsQuery,
  RunList,
  RunListQuery,
  RunParams,
  RunView,
} from '@tributary/protocol'
import { cancelRun, type KnownRun } from '@tributary/runs'
import { type App, ownerSeenBy, principalOf, requireOwner } from '@tributary/service'
import type { FastifyRequest } from 'fastify'
import type { Deps } from '../deps.ts'
import { replyWithRun } from './run-stream.ts'

const tags = ['runs']

type RunRequest = Pick<FastifyRequest, 'principal'> & { readonly params: { readonly runId: string } }

/** The routes that tell of runs, stream them and cancel them: to who started them, and to admins. */
export function addRuns(app: App, deps: Deps): void {
  const { runs, clock } = deps
  const findOwn = async (request: RunRequest): Promise<KnownRun> => {
    const run = await runs.find(request.params.runId)
    requireOwner(request, run.userId)
    return run
  }
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
    async (request) => runs.list(request.query, ownerSeenBy(principalOf(request))),
  )
  app.get(
    '/api/runs/:runId',
    { schema: { tags, summary: 'Where a run stands', params: RunParams, response: { 200: RunView } } },
    async (request) => (await findOwn(request)).view(),
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
        produces: ['text/event-stream'],
        response: { 200: PollAnswer },
      },
    },
    async (request, reply) => replyWithRun(reply, await findOwn(request), request.query, deps),
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
    async (request) => cancelRun(await findOwn(request), runs, clock),
  )
}
