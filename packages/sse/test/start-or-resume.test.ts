import { EventCollector } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { RUN, service } from './fastify-fixture.ts'

describe('startOrResume', () => {
  it('starts a run for a GET without a cursor', async () => {
    await using s = await service()
    await using reader = await EventCollector.open(`${s.url}/start`)
    await reader.waitFor('connection')
    expect([reader.headers['run-id'], s.started()]).toEqual([RUN, 1])
  })

  it('starts nothing for a HEAD', async () => {
    await using s = await service()
    const answer = await fetch(`${s.url}/start`, { method: 'HEAD' })
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      200,
      'text/event-stream; charset=utf-8',
    ])
    expect(s.started()).toBe(0)
  })

  it('goes on with the run that the cursor names, also the one of `connection`', async () => {
    await using s = await service()
    const first = await EventCollector.open(`${s.url}/start`)
    const { id = '' } = await first.waitFor('connection')
    await first.close()
    await s.say('a', 1)
    await using again = await EventCollector.open(`${s.url}/start`, { headers: { 'last-event-id': id } })
    expect((await again.waitFor('connection')).data).toMatchObject({ resumed: true })
    await again.waitFor('a')
    expect(s.started()).toBe(1)
  })

  it.each(['run_2.5-1', '5-1', '5', '0'])(
    'answers 204 to the cursor %j, which names no run',
    async (cursor) => {
      await using s = await service()
      await using reader = await EventCollector.open(`${s.url}/start`, {
        headers: { 'last-event-id': cursor },
      })
      expect([reader.status, s.started()]).toEqual([204, 0])
    },
  )
})
