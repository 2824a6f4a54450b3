import { untrueAnswers } from '@tributary/testkit'
import type { FastifyReply } from 'fastify'
import Type from 'typebox'
import { expect, test } from 'vitest'
import type { App } from '../src/index.ts'
import { serve } from './service-under-test.ts'

const Count = Type.Object({ count: Type.Integer({ minimum: 0 }) })
/** Routes that do not do what they say. What Fastify itself would write by the schema is written past it. */
function addUntrue(app: App): void {
  const schema = { response: { 200: Count } }
  const write = (reply: FastifyReply, text: string, type = 'application/json') =>
    reply
      .type(type)
      .serializer(() => text)
      .send({})
  app.get('/value', { schema }, (_, reply: FastifyReply) => void write(reply, '{"count":-1}'))
  app.get('/status', { schema }, (_, reply: FastifyReply) => void write(reply.code(201), '{"count":1}'))
  app.get('/type', { schema }, (_, reply: FastifyReply) => void write(reply, '<p>', 'text/html'))
  app.get('/problem', (_, reply) => void write(reply.code(500), '{"oh":"no"}', 'application/problem+json'))
  app.get('/headers', { schema: { response: { 202: Count } } }, (_, reply: FastifyReply) => {
    write(reply.code(202), '{"count":1}')
  })
  app.get('/silent', async () => ({ count: 1 }))
  app.get('/stream', { schema }, (_, reply) => {
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' }).end()
  })
}

const service = () => serve({ name: 'Tributary planted', routes: addUntrue })

test.each([
  ['/value', 'data/count must be >= 0: {"count":-1}'],
  ['/status', 'the status is not documented'],
  ['/type', 'the type text/html is not documented'],
  ['/silent', 'the status is not documented'],
  ['/problem', "data must have required property 'type'"],
  ['/headers', 'it lacks the header Run-Id, Location'],
  ['/stream', 'the type text/event-stream is not documented'],
])('an answer of %s that is not as documented would fail its test', async (path, fault) => {
  const { url } = await service()
  await fetch(url + path)
  const [found = ''] = untrueAnswers
  untrueAnswers.clear()
  expect(found).toContain(`GET ${path} → `)
  expect(found).toContain(fault)
})

test('what is as documented would not', async () => {
  const { url } = await service()
  for (const path of ['/healthz', '/readyz', '/nowhere', '/docs/', '/api/who']) await fetch(url + path)
  expect([...untrueAnswers].filter((fault) => !fault.includes('/api/who'))).toEqual([])
  untrueAnswers.clear()
})
