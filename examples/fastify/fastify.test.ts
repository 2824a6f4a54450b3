import { EventCollector } from '@tributary/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createApp } from './app.ts'

const ANN = { cookie: 'session=secret-of-ann' }
const app = await createApp()
let url: string

beforeAll(async () => {
  url = await app.listen({ port: 0 })
})
afterAll(() => app.close())

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

it('limits how often one may open a stream, and leaves the open ones alone', async () => {
  const own = await createApp()
  const address = await own.listen({ port: 0 })
  await using ann = await EventCollector.open(`${address}/events`, { headers: ANN })
  await ann.waitFor('connection')
  for (let opened = 1; opened < 30; opened += 1) {
    const answer = await fetch(`${address}/events`)
    expect([answer.status, answer.headers.get('ratelimit-remaining')]).toEqual([401, String(29 - opened)])
  }
  const refused = await fetch(`${address}/events`, { headers: ANN })
  expect(refused.status).toBe(429)
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  await using back = await EventCollector.open(`${address}/events`, {
    headers: { ...ANN, 'last-event-id': ann.lastEventId ?? '' },
  })
  await back.ended
  expect([back.status, back.events]).toMatchObject([
    200,
    [{ type: 'disconnected', data: { reason: 'busy' } }],
  ])
  expect(back.retries[0]).toBeGreaterThan(1_000)
  await own.hub.sendToUser('ann', 'notification', { text: 'still here' })
  expect(await ann.waitFor('notification')).toMatchObject({ data: { text: 'still here' } })
  await own.close()
})

it('answers an event that is too large with 413', async () => {
  expect((await notify('x'.repeat(200_000))).status).toBe(413)
})

it('ends its streams when it closes', async () => {
  await using ann = await EventCollector.open(`${url}/events`, { headers: ANN })
  await ann.waitFor('connection')
  await app.close()
  await ann.ended
  expect(ann.events.at(-1)).toMatchObject({
    type: 'disconnected',
    data: { reason: 'drain', reconnect: true },
  })
})
