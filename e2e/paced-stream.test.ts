import { EventCollector, FakeClock } from '@tributary/testkit'
import { expect, it } from 'vitest'
import { startGateway } from './services.ts'

const CONNECT = '/api/sse/managed/connect'
const WINDOW_MS = 1_100

it('CONNECTION_EVENTS_PER_S spares a client a flood, and nobody else waits for it', async () => {
  const clock = new FakeClock()
  await using gateway = await startGateway({ clock, env: { CONNECTION_EVENTS_PER_S: '10' } })
  const { hub } = gateway.deps
  const open = (token: string) =>
    EventCollector.open(gateway.url + CONNECT, { headers: { authorization: `Bearer ${token}` } })
  await using flooded = await open('alice-token')
  await using other = await open('bob-token')
  await Promise.all([flooded.waitFor('connection'), other.waitFor('connection')])
  const notes = () => flooded.events.filter(({ type }) => type === 'note').map(({ data }) => data)

  for (let n = 0; n < 25; n += 1) await hub.sendToUser('alice', 'note', n)
  await hub.sendToUser('alice', 'typing', 1, { priority: 'low' })
  await hub.sendToUser('bob', 'note', 'at once')
  expect(await other.waitFor('note')).toMatchObject({ data: 'at once' })
  await flooded.waitForCount('note', 9)
  expect(notes()).toHaveLength(9)
  clock.advance(WINDOW_MS)
  await flooded.waitForCount('note', 19)
  expect(notes()).toHaveLength(19)
  clock.advance(WINDOW_MS)
  await flooded.waitFor('gap')
  expect(notes()).toEqual(Array.from({ length: 25 }, (_, n) => n))
  expect(flooded.events.map(({ type }) => type)).not.toContain('typing')
})
