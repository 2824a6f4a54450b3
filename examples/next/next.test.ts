import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { EventCollector } from '@tributary/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { GET, POST } from './app/api/stream/route.ts'
import { getHub } from './lib/hub.ts'

const ANN = { cookie: 'session=secret-of-ann' }
/** In place of Next.js: calls the handlers as it does, with a Web request that ends when its reader leaves. */
const server = createServer(
  getRequestListener((request) => (request.method === 'POST' ? POST(request) : GET(request))),
)
let url: string

beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/stream`
})
afterAll(() => void server.close())

const notify = (text: string) =>
  fetch(`${url}?user=ann`, { method: 'POST', headers: ANN, body: JSON.stringify({ text }) })

it('connects who is logged in, and nobody else', async () => {
  expect((await fetch(url)).status).toBe(401)
  await using ann = await EventCollector.open(url, { headers: ANN })
  await ann.waitFor('connection')
  expect(await (await notify('hello')).json()).toMatchObject({ success: true, delivered: 1 })
  expect(await ann.waitFor('notification')).toMatchObject({ data: { text: 'hello' } })
})

it('sends what a reader missed while it was away', async () => {
  const ann = await EventCollector.open(url, { headers: ANN })
  await ann.waitFor('connection')
  await ann.close()
  await notify('missed')
  await using again = await EventCollector.open(url, {
    headers: { ...ANN, 'last-event-id': ann.lastEventId ?? '' },
  })
  expect(await again.waitFor('notification')).toMatchObject({ data: { text: 'missed' } })
})

it('answers an event that is too large with 413', async () => {
  expect((await notify('x'.repeat(200_000))).status).toBe(413)
})

it('ends its streams when the hub is closed', async () => {
  await using ann = await EventCollector.open(url, { headers: ANN })
  await ann.waitFor('connection')
  const hub = await getHub()
  await hub[Symbol.asyncDispose]()
  await ann.ended
  expect(ann.events.at(-1)).toMatchObject({
    type: 'disconnected',
    data: { reason: 'drain', reconnect: true },
  })
})
