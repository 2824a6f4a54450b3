import type { NewEvent } from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import type { StreamServerOptions } from '../src/index.ts'
import type { OverflowPolicy } from '../src/log-reader.ts'
import { dataOf, fixture, webReader } from './stream-fixture.ts'

/** The longest until a window is over: a second, and what the wheel of timers is inexact by. */
const WINDOW_MS = 1_100

/** A reader that gets five frames in a second, of which the first is `connection`. */
async function pacedReader(
  overflow: OverflowPolicy = 'disconnect',
  server: Partial<StreamServerOptions> = {},
) {
  const t = await fixture({}, { framesPerS: 5, ...server })
  const reader = webReader()
  const stream = await t.streams.serve(t.options({ sink: () => reader.sink, overflow, startAt: 'head' }))
  stream.start()
  const say = (data: readonly unknown[], more: Partial<Pick<NewEvent, 'priority' | 'conflate'>> = {}) =>
    t.log.append(data.map((each) => ({ event: { type: 'said', data: each, source: 'test', ...more } })))
  return { ...t, ...reader, stream, say }
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n)

describe('a stream with a pace', () => {
  it('gets so many events in a second, and the others in the next, in order', async () => {
    await using t = await pacedReader()
    await t.say(numbers(1, 12))
    expect((await t.take(5)).map(({ type }) => type)).toEqual(['connection', 'said', 'said', 'said', 'said'])
    expect(t.stream.stream.pendingEvents).toBe(8)
    t.clock.advance(WINDOW_MS)
    expect(dataOf(await t.take(5))).toEqual(numbers(5, 9))
    expect(t.stream.stream.pendingEvents).toBe(3)
    t.clock.advance(WINDOW_MS)
    expect(dataOf(await t.take(3))).toEqual(numbers(10, 12))
    await t.say([13])
    expect(dataOf(await t.take(1))).toEqual([13])
    expect([t.stream.stream.eventsSent, t.stream.stream.eventsDropped]).toEqual([13, 0])
  })

  it('is as quick as any other below it', async () => {
    await using t = await pacedReader()
    await t.take(1)
    for (const n of numbers(1, 10)) {
      await t.say([n])
      expect(dataOf(await t.take(1))).toEqual([n])
      t.clock.advance(WINDOW_MS)
    }
  })

  it('goes without what is of low priority, and is told so', async () => {
    await using t = await pacedReader()
    await t.say(numbers(1, 4))
    await t.take(5)
    const [, last] = await t.say([5, 6], { priority: 'low' })
    t.clock.advance(WINDOW_MS)
    const [gap] = await t.take(1)
    expect([gap?.type, gap?.id, t.stream.stream.eventsDropped]).toEqual(['gap', last?.event.id, 2])
    await t.say([7], { priority: 'low' })
    expect(dataOf(await t.take(1))).toEqual([7])
  })

  it('gets only the newest of a key', async () => {
    await using t = await pacedReader()
    await t.say(numbers(1, 4))
    await t.say(numbers(5, 9), { conflate: 'price' })
    await t.take(5)
    t.clock.advance(WINDOW_MS)
    expect(dataOf(await t.take(1))).toEqual([9])
    expect(t.stream.stream.eventsDropped).toBe(4)
  })

  it('ends where more waits than its outbox holds, with a cursor from which nothing is missed', async () => {
    await using t = await pacedReader('disconnect', { outboxMaxEvents: 10 })
    await t.take(1)
    const said = await t.say(numbers(1, 20))
    const events = await t.rest()
    expect(events.at(-1)).toMatchObject({
      type: 'disconnected',
      data: '{"reason":"slow_consumer","reconnect":true}',
    })
    const got = dataOf(events.slice(0, -1))
    expect(got.length).toBeGreaterThanOrEqual(10)
    expect(got).toEqual(numbers(1, got.length))
    expect(t.stream.lastEventId).toBe(said[got.length - 1]?.event.id)
  })

  it('of a run gets all there is, at its pace', async () => {
    await using t = await pacedReader('catch_up', { outboxMaxEvents: 10 })
    await t.say(numbers(1, 40))
    const got = await t.take(5)
    while (got.length < 41) {
      t.clock.advance(WINDOW_MS)
      got.push(...(await t.take(Math.min(5, 41 - got.length))))
    }
    expect(dataOf(got.slice(1))).toEqual(numbers(1, 40))
  })

  it('gets what waits at once when it ends, and leaves no timer behind', async () => {
    await using t = await pacedReader()
    await t.say(numbers(1, 10))
    await t.take(5)
    const { timerCount } = t.clock
    t.stream.end('drain')
    const events = await t.rest()
    expect(dataOf(events.slice(0, -1))).toEqual(numbers(5, 10))
    expect(events.at(-1)?.type).toBe('disconnected')
    expect(t.clock.timerCount).toBe(timerCount - 1)
  })
})
