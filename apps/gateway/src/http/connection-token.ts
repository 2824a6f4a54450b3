import { ConnectionTokenAnswer, ConnectionTokenRequest, ProblemError } from '@tributary/protocol'
import { type App, mayJoin } from '@tributary/service'
import type { Deps } from '../deps.ts'
import { ConnectionParams, notFound, ownConnection } from './connections.ts'

/** The route that lets an open stream go on with another token of its user. */
export function addConnectionToken(app: App, { hub, authenticator }: Deps): void {
  app.post(
    '/api/sse/managed/connections/:id/token',
    {
      schema: {
        tags: ['connections'],
        summary: 'Let the open stream go on with a new token',
        description:
          'Of the same user, and that ends no earlier than the one it has. Its rights count at once: roles and ' +
          'metadata take the place of those before, and groups that it does not allow are left.',
        params: ConnectionParams,
        body: ConnectionTokenRequest,
        response: { 200: ConnectionTokenAnswer },
      },
    },
    async (request) => {
      ownConnection(request, { hub })
      const principal = await authenticator.verify(request.body.token, request)
      // Anew: it may have ended meanwhile, or been refreshed by another request.
      const connection = ownConnection(request, { hub })
      if (principal.userId !== connection.userId) {
        throw new ProblemError(
          'forbidden',
          "The token is another user's; send one of the user whose stream it is.",
        )
      }
      refuseEarlierEnd(connection.credential?.expiresAt, principal.expiresAt)
      const { connectionId: id } = connection
      const { roles, metadata, expiresAt } = principal
      const rights = {
        roles,
        metadata,
        credential: principal,
        mayJoin: (group: string) => mayJoin(principal, group),
      }
      if (!(await hub.refresh(id, rights))) throw notFound(id)
      const groups = [...connection.groups]
      return { connectionId: id, groups, ...(expiresAt === undefined ? {} : { expiresAt }) }
    },
  )
}

/**
 * A refresh is there to go on. One that would end the stream sooner is an old token, come late or by mistake; who means
 * it opens another stream with it. @throws ProblemError `token_ends_earlier`
 */
function refuseEarlierEnd(present = Number.POSITIVE_INFINITY, next = Number.POSITIVE_INFINITY): void {
  if (next >= present) return
  throw new ProblemError(
    'token_ends_earlier',
    'The token ends before the one that the stream has; send a newer one.',
  )
}
