import { ProblemError, type WireEvent } from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import type { Frame } from '../src/index.ts'
import { append, dataOf, fixture, logWith, readEvents, TIMEOUT_MS, webReader } from './stream-fixture.ts'

const typesOf = (events: readonly WireEvent[]) => events.map(({ type }) => type)

/** Everything of a stream as text, once it has ended. */
const textOf = (body: ReadableStream<Uint8Array>) => new Response(body).text()

describe('a stream goes on', () => {
  it('with heartbeats that carry its reader’s position', async () => {
    await using t = await fixture({}, { heartbeatMs: 10_000 })
    const { sink, take } = webReader()
    const accepts = () => false
    const stream = await t.streams.serve(t.options({ sink: () => sink, accepts }))
    stream.start()
    const startId = t.log.idOf(t.log.head)
    t.clock.advance(10_100)
    await append(t.log, [1, 2])
    t.clock.advance(10_100)
    const [, first, second] = await take(3)
    expect(first).toMatchObject({ type: 'heartbeat', id: startId })
    expect(second).toMatchObject({ type: 'heartbeat', id: t.log.idOf(t.log.head) })
    expect(JSON.parse(second?.data ?? '').timestamp).toBeGreaterThan(JSON.parse(first?.data ?? '').timestamp)
  })

  it('with one frame of a heartbeat for all readers that are up to date', async () => {
    await using t = await fixture({}, { heartbeatMs: 10_000 })
    const written: Frame[] = []
    for (let i = 0; i < 5; i++) {
      const { sink, take } = webReader()
      const write = sink.write.bind(sink)
      sink.write = (frame) => {
        written.push(frame)
        write(frame)
      }
      const stream = await t.streams.serve(t.options({ sink: () => sink }))
      stream.start()
      await take(1)
    }
    written.length = 0
    t.clock.advance(10_100)
    expect(written).toHaveLength(5)
    expect(new Set(written).size).toBe(1)
  })

  it('without heartbeats to a reader whose outbox is full', async () => {
    await using t = await fixture({}, { heartbeatMs: 1_000, outboxMaxBytes: 10 })
    const { sink, take } = webReader()
    const stream = await t.streams.serve(t.options({ sink: () => sink }))
    stream.start()
    const before = sink.pendingBytes
    t.clock.advance(60_000)
    expect(sink.pendingBytes).toBe(before)
    await take(1)
    t.clock.advance(1_100)
    expect(typesOf(await take(1))).toEqual(['heartbeat'])
  })

  it('only with the events that are for it, but with every control frame', async () => {
    await using t = await fixture()
    await append(t.log, [1], 'a')
    await append(t.log, [2], 'b')
    const { sink, take } = webReader()
    const stream = await t.streams.serve(
      t.options({ sink: () => sink, topics: () => ['group:a'], accepts: (entry) => entry.event.data !== 3 }),
    )
    stream.start()
    expect(dataOf((await take(2)).slice(1))).toEqual([1])
    await append(t.log, [3, 4], 'a')
    expect(dataOf(await take(1))).toEqual([4])
  })
})

describe('a stream ends', () => {
  it.each([0, 0.3, 0.999])('at its timeout, with jitter only earlier (random %d)', async (random) => {
    await using t = await fixture({}, { random: () => random, heartbeatMs: 10 * TIMEOUT_MS })
    const { sink, rest } = webReader()
    const stream = await t.streams.serve(t.options({ sink: () => sink }))
    stream.start()
    let passedMs = 0
    for (; !stream.stream.ended; passedMs += 10) t.clock.advance(10)
    expect(passedMs).toBeLessThanOrEqual(TIMEOUT_MS)
    expect(passedMs).toBeGreaterThan(TIMEOUT_MS * (1 - 0.1 * random) - 200)
    const events = await rest()
    expect(events.at(-1)).toMatchObject({
      type: 'disconnected',
      data: '{"reason":"timeout","reconnect":true}',
    })
    expect(t.streams.size).toBe(0)
    expect(t.clock.timerCount).toBe(1)
  })

  it('complete, once its reader has the terminal event', async () => {
    await using t = await fixture()
    await append(t.log, [1])
    const before = webReader()
    const stream = await t.streams.serve(t.options({ sink: () => before.sink }))
    stream.start()
    await before.take(2)
    await t.log.close({ event: { type: 'complete', data: 'end', source: 's' } })
    const after = webReader()
    const late = await t.streams.serve(t.options({ sink: () => after.sink }))
    late.start()
    for (const [body, from] of [
      [before.rest(), 0],
      [after.rest(), 2],
    ] as const) {
      const events = (await body).slice(from)
      expect(typesOf(events)).toEqual(['complete', 'disconnected'])
      expect(JSON.parse(events[1]?.data ?? '')).toEqual({ reason: 'complete', reconnect: false })
      expect(events[1]?.id).toBeUndefined()
    }
  })

  it('complete, also where the terminal event is not for its reader', async () => {
    await using t = await fixture()
    const { sink, body } = webReader()
    const stream = await t.streams.serve(t.options({ sink: () => sink, accepts: () => false }))
    stream.start()
    await t.log.close({ event: { type: 'complete', data: 'end', source: 's' } })
    const text = await textOf(body)
    expect(text).not.toContain('event: complete')
    // The cursor on which its next attempt is answered 204.
    expect(text).toContain(`retry: 86400000\nid: ${t.log.idOf(t.log.head)}\nevent: disconnected\n`)
  })

  it.each(['forced', 'replaced'] as const)('for good (%s), with a cursor that says so', async (reason) => {
    await using t = await fixture()
    const { sink, rest } = webReader()
    const stream = await t.streams.serve(t.options({ sink: () => sink }))
    stream.start()
    await append(t.log, [1])
    const id = `${stream.lastEventId}.closed`
    stream.end(reason)
    expect((await rest()).at(-1)).toMatchObject({ type: 'disconnected', id })
  })

  it('for all in a drain, the first at once and the rest over the time, with the polls that wait', async () => {
    await using t = await fixture()
    const polls = Array.from({ length: 20 }, () =>
      t.streams.poll({ log: t.log, startAt: 'oldest', waitMs: 50_000 }),
    )
    for (let n = 0; n < 40; n++) {
      const { sink } = webReader()
      const stream = await t.streams.serve(t.options({ sink: () => sink }))
      stream.start()
    }
    const drained = t.streams.drain(30_000)
    await Promise.all(polls.slice(0, 15))
    expect(t.streams.size).toBe(40)
    t.clock.advance(50)
    await Promise.all(polls)
    expect(t.streams.size).toBe(30)
    t.clock.advance(50)
    const late = webReader()
    await t.streams.serve(t.options({ sink: () => late.sink }))
    t.clock.advance(50)
    await drained
    expect([t.streams.size, t.clock.timerCount]).toEqual([0, 1])
    expect((await late.rest()).at(-1)?.data).toBe('{"reason":"drain","reconnect":true}')
    expect((await t.streams.poll({ log: t.log, startAt: 'oldest', waitMs: 50_000 })).entries).toEqual([])
  })

  it('for all at once, each told why', async () => {
    await using t = await fixture()
    const readers = await Promise.all(
      [1, 2, 3].map(async () => {
        const reader = webReader()
        const stream = await t.streams.serve(t.options({ sink: () => reader.sink }))
        stream.start()
        return reader
      }),
    )
    t.streams.endAll('drain')
    expect(t.streams.size).toBe(0)
    for (const { rest } of readers) {
      expect((await rest()).at(-1)?.data).toBe('{"reason":"drain","reconnect":true}')
    }
  })

  it.each([
    ['upstream_lost', new Error('of the other side')],
    ['busy', new ProblemError('store_unavailable', 'of our own disk')],
  ])('where the log cannot be read, to be resumed: %s', async (reason, failure) => {
    await using t = await fixture()
    await append(t.log, [1])
    const log = logWith(t.log, { read: () => Promise.reject(failure) })
    const errors: unknown[] = []
    const { sink, body } = webReader()
    const stream = await t.streams.serve(
      t.options({ log, follow: false, sink: () => sink, onError: (error) => errors.push(error) }),
    )
    stream.start()
    const events: WireEvent[] = []
    for await (const event of readEvents(body)) events.push(event)
    expect(events.at(-1)?.data).toBe(JSON.stringify({ reason, reconnect: true }))
    expect(errors).toEqual([failure])
  })

  it('when its reader leaves: nothing of it stays', async () => {
    await using t = await fixture()
    const { sink, body } = webReader()
    const stream = await t.streams.serve(t.options({ sink: () => sink }))
    stream.start()
    const ends: string[] = []
    stream.onEnd((end) => ends.push(end))
    await body.cancel()
    expect(ends).toEqual(['gone'])
    expect([t.streams.size, t.clock.timerCount]).toEqual([0, 1])
    await append(t.log, [1])
    expect(stream.offer((await t.log.read(0)).entries[0] ?? expect.unreachable())).toBe(false)
  })
})
