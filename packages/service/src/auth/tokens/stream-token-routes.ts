import { StreamTokenAnswer } from '@tributary/protocol'
import type { App } from '../../app.ts'
import { principalOf } from '../authenticate-requests.ts'
import type { StreamTokens } from './stream-tokens.ts'

const URL = '/api/auth/sse-token'

/** The routes that give who is signed in a token for his streams, and renew it. */
export function addStreamTokens(app: App, streamTokens: StreamTokens): void {
  app.route({
    method: ['GET', 'POST'],
    url: URL,
    schema: {
      tags: ['auth'],
      summary: 'A short-lived token for streams',
      description:
        'With the rights of what the request is signed in with, and no longer life than that. A POST does the same: ' +
        'with a token that was got here it renews that.',
      response: { 200: StreamTokenAnswer },
    },
    handler: async (request, reply) => {
      reply.header('cache-control', 'no-store')
      return streamTokens.issue(principalOf(request))
    },
  })
}
