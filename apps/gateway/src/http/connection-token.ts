import { ConnectionTokenAnswer, ConnectionTokenRequest } from '@tributary/protocol'
import { type App, principalOf } from '@tributary/service'
import type { Deps } from '../deps.ts'
import { ConnectionParams } from './connections.ts'

/** The route that lets an open stream go on with another token of its user. */
export function addConnectionToken(app: App, { ownedConnections, authenticator }: Deps): void {
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
      const { id } = request.params
      // Whether it is his at all, before his token costs anything.
      await ownedConnections.view(id, principalOf(request))
      const token = await authenticator.verify(request.body.token, request)
      return ownedConnections.renew(id, principalOf(request), token)
    },
  )
}
