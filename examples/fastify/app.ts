import rateLimit from '@fastify/rate-limit'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { Hub } from '@tributary/hub'
import { hubPlugin, streamErrorHandler } from '@tributary/hub/fastify'
import fastify from 'fastify'
import { userOf } from './session.ts'

/** An app like any other, with a hub in it. It answers what the hub refuses by the status of the error. */
export async function createApp() {
  const app = fastify()
  const store = new MemoryEventStore()
  const hub = await Hub.open({ store })
  await app.register(hubPlugin, { hub })
  await app.register(rateLimit, { global: false, enableDraftSpec: true })
  app.addHook('onClose', async () => {
    await hub[Symbol.asyncDispose]()
    await store.close()
  })

  // Only opening a stream counts. Whose browser comes back too soon is told to come again; others get a 429.
  const limited = { config: { rateLimit: { max: 30, timeWindow: 60_000 } }, errorHandler: streamErrorHandler }
  app.get('/events', limited, async (request, reply) => {
    const userId = userOf(request.headers.cookie)
    if (userId === undefined) return reply.code(401).send({ error: 'Log in first' })
    await reply.connectToHub({ userId })
    return reply
  })

  app.post<{ Params: { userId: string } }>('/users/:userId/notifications', async (request, reply) => {
    if (userOf(request.headers.cookie) === undefined) return reply.code(401).send({ error: 'Log in first' })
    return hub.sendToUser(request.params.userId, 'notification', request.body)
  })
  return app
}
