import { MirrorLog } from '@tributary/eventlog'
import { EventCollector } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { type LogStream, NodeSink, sseHeaders } from '../src/index.ts'
import { append, dataOf, fixture, httpServer, webReader } from './stream-fixture.ts'

const MAX_BYTES = 2_000
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** Lets whatever is ready happen, a few times over. */
async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(setImmediate)
}

describe('a slow reader', () => {
  it('that catches up gets everything at its pace, within the bound of its outbox', async () => {
    await using t = await fixture({}, { outboxMaxBytes: MAX_BYTES })
    const { sink, take } = webReader()
    const stream = await t.streams.serve(t.options({ sink: () => sink }))
    stream.start()
    let mostPending = 0
    for (let n = 1; n <= 1_000; n++) {
      await append(t.log, [n])
      mostPending = Math.max(mostPending, sink.pendingBytes)
      if (n % 100 === 0) await turns(1)
    }
    expect(stream.live).toBe(false)
    expect(dataOf((await take(1_001)).slice(1))).toEqual(range(1, 1_000))
    expect(mostPending).toBeLessThanOrEqual(MAX_BYTES)
    await turns()
    expect(stream.live).toBe(true)
    await append(t.log, [1_001])
    expect(dataOf(await take(1))).toEqual([1_001])
  })

  it('gets an event that is larger than its outbox', async () => {
    await using t = await fixture({}, { outboxMaxBytes: 100 })
    const { sink, take } = webReader()
    const stream = await t.streams.serve(t.options({ sink: () => sink }))
    stream.start()
    await take(1)
    const large = 'x'.repeat(10_000)
    await append(t.log, [large, 1, large, large, 2])
    expect(dataOf(await take(5))).toEqual([large, 1, large, large, 2])
  })

  it('is told what was trimmed before it could read it, and goes on', async () => {
    await using t = await fixture(
      { retention: () => ({ maxEvents: 10, maxAgeMs: 1_000_000 }) },
      { outboxMaxBytes: MAX_BYTES },
    )
    const { sink, take } = webReader()
    const stream = await t.streams.serve(t.options({ sink: () => sink }))
    stream.start()
    for (let n = 1; n <= 1_000; n++) await append(t.log, [n])
    const got: number[] = []
    let gap: { from: string; to: string; reason: string } | undefined
    while (got.at(-1) !== 1_000) {
      const [event] = await take(1)
      if (event === undefined) throw new Error('the stream ended')
      if (event.type === 'said') got.push(Number(event.data))
      if (event.type !== 'gap') continue
      expect(gap).toBeUndefined()
      gap = JSON.parse(event.data)
      expect(event.id).toBe(gap?.to)
    }
    const lastBefore = Number(gap?.from.split('-')[1])
    const lastLost = Number(gap?.to.split('-')[1])
    expect(gap?.reason).toBe('overflow')
    expect(got).toEqual([...range(1, lastBefore), ...range(lastLost + 1, 1_000)])
    expect(lastLost).toBeGreaterThan(lastBefore)
  })

  it('is told of no loss where only others’ events were trimmed', async () => {
    await using t = await fixture(
      { retention: () => ({ maxEvents: 300, maxAgeMs: 1_000_000 }) },
      { outboxMaxBytes: MAX_BYTES },
    )
    const { sink, take } = webReader()
    const stream = await t.streams.serve(
      t.options({ sink: () => sink, topics: () => ['group:mine'], startAt: 'head', follow: false }),
    )
    stream.start()
    // As a hub does: it offers what is under the reader's topics, and nothing else.
    t.log.tail((entry) => entry.topics.includes('group:mine') && stream.offer(entry))
    await append(t.log, [0], 'mine')
    await append(t.log, range(1, 5_000), 'others')
    for (const n of range(1, 250)) await append(t.log, [n], 'mine')
    expect(stream.live).toBe(false)
    const events = (await take(252)).slice(1)
    expect(events.every(({ type }) => type === 'said')).toBe(true)
    expect(dataOf(events)).toEqual(range(0, 250))
  })

  it('does not replay what a topic had before the reader joined it', async () => {
    await using t = await fixture({}, { outboxMaxBytes: MAX_BYTES })
    const { sink, take } = webReader()
    const joined = new Set(['group:mine'])
    const stream = await t.streams.serve(
      t.options({ sink: () => sink, topics: () => [...joined], startAt: 'head', follow: false }),
    )
    stream.start()
    t.log.tail((entry) => entry.topics.some((topic) => joined.has(topic)) && stream.offer(entry))
    await append(t.log, ['before he joined'], 'later')
    joined.add('group:later')
    for (const n of range(1, 200)) await append(t.log, [n], 'later')
    expect(stream.live).toBe(false)
    expect(dataOf((await take(201)).slice(1))).toEqual(range(1, 200))
  })

  it('never hears a heartbeat that would take its cursor back', async () => {
    await using t = await fixture({}, { outboxMaxBytes: MAX_BYTES, heartbeatMs: 1_000 })
    const { sink, take } = webReader()
    const stream = await t.streams.serve(
      t.options({ sink: () => sink, topics: () => ['group:mine'], startAt: 'head', follow: false }),
    )
    stream.start()
    t.log.tail((entry) => entry.topics.includes('group:mine') && stream.offer(entry))
    await append(t.log, range(1, 50), 'others')
    t.clock.advance(1_100)
    await append(t.log, range(1, 500), 'mine')
    let last = 0
    let beats = 0
    for (let count = 0; count < 500; ) {
      const [event] = await take(1)
      if (event === undefined) throw new Error('the stream ended')
      if (event.type === 'said') count += 1
      if (event.type === 'heartbeat') beats += 1
      const n = Number(event.id?.split('-')[1])
      expect(n).toBeGreaterThanOrEqual(last)
      last = n
      if (count % 50 === 0) t.clock.advance(1_100)
    }
    expect(beats).toBeGreaterThan(1)
  })

  it('is closed as a slow consumer where that is the policy, and its last id resumes', async () => {
    await using t = await fixture({}, { outboxMaxBytes: MAX_BYTES })
    const { sink, rest } = webReader()
    const stream = await t.streams.serve(t.options({ sink: () => sink, overflow: 'disconnect' }))
    stream.start()
    const ends: string[] = []
    stream.onEnd((end) => ends.push(end))
    for (const n of range(1, 100)) await append(t.log, [n])
    expect(ends).toEqual(['slow_consumer'])
    const events = await rest()
    expect(events.at(-1)?.data).toBe('{"reason":"slow_consumer","reconnect":true}')
    const got = dataOf(events.slice(1, -1))
    expect(got).toEqual(range(1, got.length))
    expect(stream.lastEventId).toBe(events.at(-2)?.id)
    const again = webReader()
    const cursor = { kind: 'event', ms: t.clock.now(), n: got.length } as const
    const resumed = await t.streams.serve(t.options({ sink: () => again.sink, cursor }))
    resumed.start()
    expect(dataOf((await again.take(101 - got.length)).slice(1))).toEqual(range(got.length + 1, 100))
  })

  it('over a real socket holds no more than its outbox while it does not read', async () => {
    await using t = await fixture()
    const opened = Promise.withResolvers<{ stream: LogStream; sink: NodeSink }>()
    await using server = await httpServer(async (_path, response) => {
      const sink = new NodeSink(response, sseHeaders().build())
      const stream = await t.streams.serve(t.options({ sink: () => sink }))
      stream.start()
      opened.resolve({ stream, sink })
    })
    await using reader = await EventCollector.open(server.url)
    const { stream, sink } = await opened.promise
    reader.pause()
    const large = 'x'.repeat(60_000)
    // The kernel takes some megabytes before anything waits here.
    let last = 0
    for (let behind = 0; behind < 50; last++) {
      await append(t.log, [{ n: last, large }])
      await turns(1)
      expect(sink.pendingBytes).toBeLessThanOrEqual(262_144 + 65_536)
      if (!stream.live) behind += 1
    }
    reader.resume()
    await reader.waitForCount('said', last)
    expect(reader.ofType('said').map(({ data }) => data)).toEqual(
      range(0, last - 1).map((n) => ({ n, large })),
    )
  })
})

describe('a reader of a mirror', () => {
  it('is told what the mirror’s owner had no more when the mirror came back', async () => {
    await using t = await fixture({ runId: 'run_1' })
    const retention = { maxEvents: 100, maxAgeMs: 1_000_000 }
    const log = new MirrorLog({ runId: 'run_1', retention, now: () => t.clock.now() })
    const { sink, take } = webReader()
    const stream = await t.streams.serve(t.options({ log, sink: () => sink }))
    stream.start()
    const owned = await append(t.log, range(1, 9))
    for (const entry of owned) if (![4, 5].includes(entry.position.n)) log.add(entry, false)
    const events = (await take(9)).slice(1)
    expect(events.map(({ type }) => type)).toEqual([
      'said',
      'said',
      'said',
      'gap',
      'said',
      'said',
      'said',
      'said',
    ])
    expect(JSON.parse(events[3]?.data ?? '')).toEqual({
      from: owned[2]?.event.id,
      to: owned[4]?.event.id,
      reason: 'overflow',
    })
    expect(dataOf(events).filter(Number)).toEqual([1, 2, 3, 6, 7, 8, 9])
  })
})
