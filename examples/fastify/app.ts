import { MemoryEventStore } from '@tributary/eventlog/memory'
import { Hub } from '@tributary/hub'
import { hubPlugin } from '@tributary/hub/fastify'
import fastify from 'fastify'
import { userOf } from './session.ts'

/** An app like any other, with a hub in it. It answers what the hub refuses by the status of the error. */
export async function createApp() {
  const app = fastify()
  const store = new MemoryEventStore()
  const hub = await Hub.open({ store })
  await app.register(hubPlugin, { hub })
  app.addHook('onClose', async () => {
    await hub[Symbol.asyncDispose]()
    await store.close()
  })

  app.get('/events', async (request, reply) => {
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
