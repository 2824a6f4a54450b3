import { EventCollector } from '@tributary/testkit'
import { afterAll, expect, it } from 'vitest'
import { startServer } from './server.ts'

const ANN = { cookie: 'session=secret-of-ann' }
const server = await startServer(0)
const url = `http://127.0.0.1:${server.port}`

afterAll(() => server.close())

const notify = (text: string) =>
  fetch(`${url}/users/ann/notifications`, {
    method: 'POST',
    headers: { ...ANN, 'content-type': 'application/json' },
    body: JSON.stringify({ text }),
  })

it('connects who is logged in, and nobody else', async () => {
  expect((await fetch(`${url}/events`)).status).toBe(401)
  await using ann = await EventCollector.open(`${url}/events`, { headers: ANN })
  await ann.waitFor('connection')
  expect(await (await notify('hello')).json()).toMatchObject({ success: true, delivered: 1 })
  expect(await ann.waitFor('notification')).toMatchObject({ data: { text: 'hello' } })
})

it('sends what a reader missed while it was away', async () => {
  const ann = await EventCollector.open(`${url}/events`, { headers: ANN })
  await ann.waitFor('connection')
  await ann.close()
  await notify('missed')
  await using again = await EventCollector.open(`${url}/events`, {
    headers: { ...ANN, 'last-event-id': ann.lastEventId ?? '' },
  })
  expect(await again.waitFor('notification')).toMatchObject({ data: { text: 'missed' } })
})

it('answers an event that is too large with 413', async () => {
  expect((await notify('x'.repeat(200_000))).status).toBe(413)
})

it('ends its streams when it closes', async () => {
  await using ann = await EventCollector.open(`${url}/events`, { headers: ANN })
  await ann.waitFor('connection')
  await server.close()
  await ann.ended
  expect(ann.events.at(-1)).toMatchObject({
    type: 'disconnected',
    data: { reason: 'drain', reconnect: true },
  })
})
