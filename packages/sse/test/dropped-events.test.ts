import type { EventLog, LogEntry } from '@tributary/eventlog'
import { describe, expect, it } from 'vitest'
import { Frame } from '../src/index.ts'
import { fixture, webReader } from './stream-fixture.ts'

const text = 'x'.repeat(100)

/** A reader that is closed where it is too slow, on a log whose entries are offered to it, and its bound. */
async function slowReader() {
  const t = await fixture({}, { outboxMaxBytes: 400, heartbeatMs: 10_000 })
  const reader = webReader()
  const stream = await t.streams.serve(
    t.options({ sink: () => reader.sink, overflow: 'disconnect', startAt: 'head' }),
  )
  stream.start()
  const say = (log: EventLog, priority: 'low' | 'normal', ...data: unknown[]): Promise<readonly LogEntry[]> =>
    log.append(data.map((each) => ({ event: { type: 'said', data: each, source: 'test', priority } })))
  return {
    ...t,
    ...reader,
    stream,
    say: (priority: 'low' | 'normal', ...data: unknown[]) => say(t.log, priority, ...data),
  }
}

describe('a slow reader', () => {
  it('goes without what is of low priority, is told so before the next event, and stays', async () => {
    await using t = await slowReader()
    await t.take(1)
    const [, last] = await t.say('normal', text, text)
    const dropped = await t.say('low', text, text, 1)
    expect(t.stream.stream.eventsDropped).toBe(2)
    expect(t.stream.lastEventId).not.toBe(last?.event.id)
    const events = await t.take(4)
    expect(events.map(({ type, id }) => [type, id])).toEqual([
      ['said', expect.any(String)],
      ['said', last?.event.id],
      ['gap', dropped[1]?.event.id],
      ['said', dropped[2]?.event.id],
    ])
    expect(JSON.parse(events[2]?.data ?? '')).toEqual({
      from: last?.event.id,
      to: dropped[1]?.event.id,
      reason: 'overflow',
    })
  })

  it('keeps its cursor before what it was not told of, so that it gets it when it resumes', async () => {
    await using t = await slowReader()
    await t.take(1)
    const [, last] = await t.say('normal', text, text)
    await t.say('low', text, text)
    expect(t.stream.lastEventId).toBe(last?.event.id)
    await t.say('normal', text, text)
    const events = await t.rest()
    expect(events.map(({ type }) => type)).toEqual(['said', 'said', 'disconnected'])
    expect(events.at(-1)?.data).toBe('{"reason":"slow_consumer","reconnect":true}')
    expect(events.findLast(({ id }) => id !== undefined)?.id).toBe(last?.event.id)
  })

  it('is told as soon as it has caught up, where nothing else is sent to it', async () => {
    await using t = await slowReader()
    await t.take(1)
    await t.say('normal', text, text)
    const [, dropped] = await t.say('low', text, text)
    t.stream.drop()
    const [, , gap] = await t.take(3)
    expect([gap?.type, gap?.id]).toEqual(['gap', dropped?.event.id])
    expect(t.stream.stream.eventsDropped).toBe(3)
    expect(t.stream.lastEventId).toBe(dropped?.event.id)
    t.clock.advance(10_100)
    expect(await t.take(1)).toMatchObject([{ type: 'heartbeat', id: dropped?.event.id }])
  })

  it('is told before an event that is in no log', async () => {
    await using t = await slowReader()
    await t.take(1)
    await t.say('normal', text, text)
    await t.say('low', text)
    t.stream.send(new Frame('event: fleeting\ndata: 1\n\n'))
    const events = await t.take(4)
    expect(events.map(({ type }) => type)).toEqual(['said', 'said', 'gap', 'fleeting'])
  })
})
