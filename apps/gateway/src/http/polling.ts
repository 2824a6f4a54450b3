import { ManagedPollQuery, PollAnswer } from '@tributary/protocol'
import { type App, principalOf } from '@tributary/service'
import type { Deps } from '../deps.ts'
import { memberOf, namesOf } from './managed-streams.ts'

/** What a user's stream gets, a page at a time. */
export function addPolling(app: App, deps: Deps): void {
  app.get(
    '/api/realtime/polling',
    {
      config: { rateClass: 'requests' },
      schema: {
        tags: ['streams'],
        summary: 'What came after a cursor, waiting for it where asked to',
        description:
          'What a stream of the same user, groups and session gets, as whole events; but nothing that is not kept. ' +
          'The cursors are those of streams: a client may change between the two at any event.',
        querystring: ManagedPollQuery,
        response: { 200: PollAnswer },
      },
    },
    async (request, reply) => {
      const { limit, wait, types } = request.query
      await reply.pollHub({
        ...(await memberOf(principalOf(request), request.query, deps)),
        ...(limit === undefined ? {} : { limit }),
        ...(wait === undefined ? {} : { waitMs: wait }),
        ...(types === undefined ? {} : { events: namesOf(types) }),
      })
      return reply
    },
  )
}
