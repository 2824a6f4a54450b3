/** @fastify/sse: its replies are kept in a set, since it has no broadcast of its own. */
import { fastifySSE } from '@fastify/sse'
import fastify, { type FastifyReply } from 'fastify'
import { ANSWER, ANSWER_HEAD, type Posted, serve } from './posted.ts'

const app = fastify()
const streams = new Set<FastifyReply>()

await app.register(fastifySSE)

app.get('/', { sse: 'only' }, (_request, reply) => {
  reply.sse.keepAlive()
  reply.sse.sendHeaders()
  reply.raw.flushHeaders()
  streams.add(reply)
  reply.sse.onClose(() => streams.delete(reply))
  return Promise.resolve()
})

app.post<{ Body: Posted }>('/', async ({ body: { event, data } }, reply) => {
  // A reader that is slow delays nobody, as with the others: its promise is not waited for.
  for (const { sse } of streams) void sse.send({ event, data })
  return reply.headers(ANSWER_HEAD).send(ANSWER)
})

await app.ready()
serve(app.server)
