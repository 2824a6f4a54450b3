import { EXPOSED_HEADERS } from '@tributary/protocol'
import { EventCollector } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { RUN, service } from './fastify-fixture.ts'

describe('replyWithLog', () => {
  it('answers with the stream of a run, from its first event to its end', async () => {
    await using s = await service()
    await s.say('task_start', 1)
    await using reader = await EventCollector.open(`${s.url}/standard`)
    expect(reader.status).toBe(200)
    expect(reader.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'run-id': RUN,
      location: `/api/runs/${RUN}`,
      'access-control-allow-origin': 'https://app.example',
      'access-control-expose-headers': EXPOSED_HEADERS,
    })
    await reader.waitFor('task_start')
    await s.say('task_progress', 2)
    await s.end()
    await reader.ended
    expect(reader.error).toBeUndefined()
    expect(reader.events.map(({ type }) => type)).toEqual([
      'connection',
      'task_start',
      'task_progress',
      'complete',
      'disconnected',
    ])
    expect(reader.events.at(-1)?.data).toEqual({ reason: 'complete', reconnect: false })
    expect(reader.retries).toEqual([3_000, 86_400_000])
    expect(reader.lastEventId).toBe(s.log.idOf(s.log.head))
  })

  it('resumes from the header or the query, and answers 204 to who has all of it', async () => {
    await using s = await service()
    const [first] = await s.say('a', 1)
    const [second] = await s.say('b', 2)
    const last = await s.end()
    const id = first?.event.id ?? ''
    await using byHeader = await EventCollector.open(`${s.url}/standard?since=0`, {
      headers: { 'last-event-id': id },
    })
    await using byQuery = await EventCollector.open(`${s.url}/standard?lastEventId=${id}`)
    for (const reader of [byHeader, byQuery]) {
      await reader.ended
      expect(reader.events.map(({ id: eventId }) => eventId)).toEqual([
        id,
        second?.event.id,
        last.event.id,
        undefined,
      ])
    }
    for (const cursor of [`lastEventId=${last.event.id}`, `since=${last.event.timestamp}`]) {
      await using reader = await EventCollector.open(`${s.url}/standard?${cursor}`)
      await reader.ended
      expect([reader.status, reader.text, reader.headers['run-id']]).toEqual([204, '', RUN])
    }
  })

  it('tells whoever comes with a cursor beyond the end, or of another run, and gives all there is', async () => {
    await using s = await service()
    await s.say('a', 1)
    const { position } = await s.end()
    for (const [cursor, reason] of [
      [`${RUN}.${position.ms}-9`, 'ahead'],
      [`run_2.${position.ms}-2`, 'log_lost'],
      [`${RUN}.${position.ms - 1}-2`, 'log_lost'],
    ]) {
      await using reader = await EventCollector.open(`${s.url}/standard?lastEventId=${cursor}`)
      await reader.ended
      expect(reader.events.map(({ type }) => type)).toEqual([
        'connection',
        'gap',
        'a',
        'complete',
        'disconnected',
      ])
      expect(reader.events[1]?.data).toMatchObject({ from: cursor, reason })
    }
  })

  it('refuses a cursor that is none, before there is a stream', async () => {
    await using s = await service()
    await using reader = await EventCollector.open(`${s.url}/standard?lastEventId=nonsense`)
    await reader.ended
    expect(reader.status).toBe(400)
    expect(JSON.parse(reader.text)).toMatchObject({ code: 'invalid_cursor' })
  })

  it('answers HEAD with the headers alone', async () => {
    await using s = await service()
    await s.say('a', 1)
    const answer = await fetch(`${s.url}/standard`, { method: 'HEAD' })
    expect([answer.status, answer.headers.get('run-id')]).toEqual([200, RUN])
    expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(s.streams.size).toBe(0)
  })

  it('writes the names of its route, in the asked form', async () => {
    await using s = await service()
    await s.say('task_error', { taskId: 't' })
    await s.end()
    await using plain = await EventCollector.open(`${s.url}/emitter`)
    await using envelope = await EventCollector.open(`${s.url}/standard?format=envelope`)
    await Promise.all([plain.ended, envelope.ended])
    expect(plain.events[1]).toMatchObject({ type: 'error', data: { taskId: 't' } })
    expect(envelope.events[1]).toMatchObject({
      type: 'task_error',
      data: { type: 'task_error', data: { taskId: 't' } },
    })
  })

  it.each([
    ['standard', 'task_error,%20b', ['task_error', 'b']],
    ['standard', 'error', []],
    ['emitter', 'error', ['error']],
    ['emitter', 'task_error,complete', ['error', 'complete']],
    ['standard', '', ['a', 'task_error', 'b', 'complete']],
    ['standard', 'connection', []],
  ])('filters by type on the %s route: %j', async (route, events, expected) => {
    await using s = await service()
    await s.say('a', 1)
    await s.say('task_error', { taskId: 't' })
    await s.say('b', 2)
    await s.end()
    await using reader = await EventCollector.open(`${s.url}/${route}?events=${events}`)
    await reader.ended
    expect(reader.events.map(({ type }) => type)).toEqual(['connection', ...expected, 'disconnected'])
  })

  it.each([
    ['', 1_000],
    ['?timeout=300', 300],
    ['?timeout=99999999', 5_000],
  ])('ends at its timeout (%j), at most the largest there is', async (query, timeoutMs) => {
    await using s = await service()
    await using reader = await EventCollector.open(`${s.url}/standard${query}`)
    await reader.waitFor('connection')
    s.clock.advance(timeoutMs * 0.8 - 100)
    expect(s.streams.size).toBe(1)
    s.clock.advance(timeoutMs)
    expect((await reader.waitFor('disconnected')).data).toEqual({ reason: 'timeout', reconnect: true })
    await reader.ended
  })

  it('lets go of a client that vanishes', async () => {
    await using s = await service()
    const reader = await EventCollector.open(`${s.url}/standard`)
    await reader.waitFor('connection')
    expect(s.streams.size).toBe(1)
    await reader.close()
    while (s.streams.size > 0) await new Promise(setImmediate)
    await s.say('a', 1)
  })
})
