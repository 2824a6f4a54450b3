import type { WireEvent } from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import { append, dataOf, fixture, logWith, webReader } from './stream-fixture.ts'

const typesOf = (events: readonly WireEvent[]) => events.map(({ type }) => type)
const idsOf = (events: readonly WireEvent[]) => events.map(({ id }) => id)

/** Everything of a stream as text, once it has ended. */
const textOf = (body: ReadableStream<Uint8Array>) => new Response(body).text()

describe('a stream begins', () => {
  it('with `connection`, then what there is, then what comes', async () => {
    await using t = await fixture()
    const entries = await append(t.log, [1, 2])
    const { sink, take } = webReader()
    const stream = await t.streams.serve(t.options({ sink: () => sink, connectionId: 'c9', runId: 'run_1' }))
    expect(t.streams.size).toBe(1)
    const [connection] = await take(1)
    expect(connection).toMatchObject({ type: 'connection', id: '0-0' })
    expect(JSON.parse(connection?.data ?? '')).toEqual({
      status: 'connected',
      emitterId: 'c9',
      clientId: 'c9',
      runId: 'run_1',
      resumed: false,
    })
    stream.start()
    const replayed = await take(2)
    expect(dataOf(replayed)).toEqual([1, 2])
    expect(idsOf(replayed)).toEqual(entries.map(({ event }) => event.id))
    await append(t.log, [3])
    expect(dataOf(await take(1))).toEqual([3])
    expect(stream.live).toBe(true)
    expect(stream.lastEventId).toBe(t.log.idOf(t.log.head))
  })

  it('at the head for a new reader of a hub, whose `connection` has the head’s id', async () => {
    await using t = await fixture()
    await append(t.log, [1, 2])
    const { sink, take } = webReader()
    const stream = await t.streams.serve(t.options({ sink: () => sink, startAt: 'head' }))
    stream.start()
    await append(t.log, [3])
    const events = await take(2)
    expect(idsOf(events)).toEqual([`${t.clock.now()}-2`, `${t.clock.now()}-3`])
  })

  it('with a `retry:`, its own or the default', async () => {
    for (const retryMs of [undefined, 77]) {
      await using t = await fixture({}, retryMs === undefined ? {} : { retryMs })
      const { sink, body } = webReader()
      const stream = await t.streams.serve(t.options({ sink: () => sink }))
      stream.end('drain')
      expect(await textOf(body)).toMatch(
        new RegExp(`^retry: ${retryMs ?? 3_000}\nid: 0-0\nevent: connection\n`),
      )
    }
  })

  it('with the cursor as it was presented, and resumes after it', async () => {
    await using t = await fixture()
    const ms = t.clock.now()
    await append(t.log, [1, 2, 3])
    const { sink, take } = webReader()
    const cursor = { kind: 'event', ms, n: 2 } as const
    const stream = await t.streams.serve(t.options({ sink: () => sink, cursor, cursorText: `0${ms}-2` }))
    stream.start()
    const events = await take(2)
    expect(events[0]).toMatchObject({ type: 'connection', id: `0${ms}-2` })
    expect(events[0]?.data).toContain('"resumed":true')
    expect(dataOf(events.slice(1))).toEqual([3])
  })

  it('with a gap whose id leads on, and no id before it', async () => {
    await using t = await fixture({ retention: () => ({ maxEvents: 2, maxAgeMs: 1_000_000 }) })
    const ms = t.clock.now()
    await append(t.log, [1, 2, 3, 4])
    for (const [cursorText, reason] of [
      [`${ms}-1`, 'expired'],
      [`${ms}-9`, 'ahead'],
      [`${ms - 5}-1`, 'log_lost'],
    ] as const) {
      const n = Number(cursorText.split('-')[1])
      const cursor = { kind: 'event', ms: Number(cursorText.split('-')[0]), n } as const
      const { sink, take } = webReader()
      const stream = await t.streams.serve(t.options({ sink: () => sink, cursor, cursorText }))
      stream.start()
      const [connection, gap, ...events] = await take(4)
      expect(connection?.id).toBeUndefined()
      expect(gap).toMatchObject({ type: 'gap', id: `${ms}-2` })
      expect(JSON.parse(gap?.data ?? '')).toEqual({ from: cursorText, to: `${ms}-2`, reason })
      expect(dataOf(events)).toEqual([3, 4])
    }
    const { sink, take } = webReader()
    const led = { cursor: { kind: 'event', ms, n: 2 }, cursorText: `${ms}-2` } as const
    const stream = await t.streams.serve(t.options({ sink: () => sink, ...led }))
    stream.start()
    expect(typesOf(await take(3))).toEqual(['connection', 'said', 'said'])
  })

  it('with a gap that costs an offline user nothing of what is kept for him', async () => {
    await using t = await fixture({
      retention: (topic) => ({ maxEvents: topic === 'group:kept' ? 1_000 : 2, maxAgeMs: 1_000_000 }),
    })
    const ms = t.clock.now()
    const topics = () => ['group:kept', 'group:brief']
    // More than a page of them, so that reading goes on from within the time that the gap is about.
    const kept = Array.from({ length: 400 }, (_, i) => i + 1)
    await append(t.log, kept, 'kept')
    await append(t.log, ['a', 'b', 'c', 'd'], 'brief')
    const { sink, take } = webReader()
    const stream = await t.streams.serve(
      t.options({ sink: () => sink, topics, cursor: { kind: 'event', ms, n: 1 }, cursorText: `${ms}-1` }),
    )
    stream.start()
    const [, gap, ...events] = await take(403)
    expect(gap).toMatchObject({ type: 'gap', id: `${ms}-1` })
    expect(JSON.parse(gap?.data ?? '')).toEqual({ from: `${ms}-1`, to: `${ms}-402`, reason: 'expired' })
    expect(dataOf(events)).toEqual([...kept.slice(1), 'c', 'd'])
  })

  it('for nobody whose reader has left by then', async () => {
    await using t = await fixture()
    const { sink } = webReader(AbortSignal.abort())
    const stream = await t.streams.serve(t.options({ sink: () => sink }))
    stream.start()
    expect([stream.stream.ended, t.streams.size, t.clock.timerCount]).toEqual([true, 0, 1])
  })

  it('not at all where the log cannot be searched: then no sink is made', async () => {
    await using t = await fixture()
    const log = logWith(t.log, { locate: () => Promise.reject(new Error('no log')) })
    const sink = () => expect.unreachable('a sink was made')
    const cursor = { kind: 'time', ms: 0 } as const
    await expect(t.streams.serve(t.options({ log, sink, cursor }))).rejects.toThrow('no log')
  })
})
