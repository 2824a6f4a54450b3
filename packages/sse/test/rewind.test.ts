import type { EventLog, ReadableLog } from '@tributary/eventlog'
import { describe, expect, it } from 'vitest'
import { append, fixture, logWith, TIMEOUT_MS, webReader } from './stream-fixture.ts'

/** A log that loses what it had: from there on it is another, behind the same name. */
async function losing() {
  const t = await fixture()
  const rewinds = new Set<() => void>()
  let current: EventLog = t.log
  const log: ReadableLog = {
    ...logWith(t.log, {}),
    get head() {
      return current.head
    },
    locate: (cursor, topics) => current.locate(cursor, topics),
    read: (afterN, options) => current.read(afterN, options),
    tail: (listener) => current.tail(listener),
    onRewind(listener) {
      rewinds.add(listener)
      return () => void rewinds.delete(listener)
    },
  }
  /** @param kept what the other log has. */
  const lose = async (...kept: unknown[]) => {
    const other = await t.store.open('other', { retention: () => ({ maxEvents: 100, maxAgeMs: 1_000_000 }) })
    if (kept.length > 0) await append(other, kept)
    for (const listener of rewinds) listener()
    current = other
    return other
  }
  return { ...t, own: t.log, log, lose, rewinds }
}

describe('a log that turns out to have lost what was sent', () => {
  it('is told to a live reader as a gap, and it goes on with what the log has', async () => {
    await using t = await losing()
    const { sink, take } = webReader()
    const stream = await t.streams.serve(t.options({ log: t.log, sink: () => sink, follow: true }))
    stream.start()
    const [, last] = await append(t.own, [1, 2])
    expect((await take(3)).map(({ type }) => type)).toEqual(['connection', 'said', 'said'])
    t.clock.advance(100)
    const other = await t.lose('a')
    const [gap, next] = await take(2)
    expect(gap?.type).toBe('gap')
    expect(JSON.parse(gap?.data ?? '')).toMatchObject({ from: last?.event.id, reason: 'log_lost' })
    expect([next?.type, next?.data, next?.id]).toEqual(['said', '"a"', other.idOf(other.head)])
    expect(stream.live).toBe(true)
    stream.end('drain')
    expect(t.rewinds.size).toBe(0)
  })

  it('is told to one in the midst of its replay, too, which goes no further in the old one', async () => {
    await using t = await losing()
    await append(t.own, [1, 2, 3])
    const held = Promise.withResolvers<void>()
    const log = {
      ...t.log,
      async read(afterN: number) {
        const page = await t.log.read(afterN)
        await held.promise
        return page
      },
    }
    Object.defineProperty(log, 'head', { get: () => t.log.head })
    const { sink, take } = webReader()
    const stream = await t.streams.serve(t.options({ log, sink: () => sink, follow: true }))
    stream.start()
    t.clock.advance(100)
    await t.lose('a')
    held.resolve()
    expect((await take(2)).map(({ type, data }) => [type, type === 'said' ? data : ''])).toEqual([
      ['connection', ''],
      ['said', '"a"'],
    ])
  })

  it('is told to a poll that waits, and not read on in as if it were the old one', async () => {
    await using t = await losing()
    const [entry] = await append(t.own, [1])
    const cursorText = entry?.event.id ?? ''
    const cursor = { kind: 'event', ms: entry?.position.ms ?? 0, n: 1 } as const
    const waiting = t.streams.poll({
      log: t.log,
      cursor,
      cursorText,
      startAt: 'head',
      waitMs: TIMEOUT_MS,
    })
    for (let turns = 0; turns < 5; turns++) await new Promise(setImmediate)
    t.clock.advance(100)
    await t.lose('a', 'b')
    const page = await waiting
    expect(page.gap).toMatchObject({ from: cursorText, reason: 'log_lost' })
    expect(page.events.map(({ data }) => data)).toEqual(['a', 'b'])
  })

  it('is told to a poll that is reading, which gives out nothing of it before', async () => {
    await using t = await losing()
    const [first] = await append(t.own, [1, 2])
    const cursorText = first?.event.id ?? ''
    const cursor = { kind: 'event', ms: first?.position.ms ?? 0, n: 1 } as const
    const held = Promise.withResolvers<void>()
    const log = {
      ...t.log,
      async read(afterN: number) {
        await held.promise
        return t.log.read(afterN)
      },
    }
    Object.defineProperty(log, 'head', { get: () => t.log.head })
    const polling = t.streams.poll({ log, cursor, cursorText, startAt: 'head' })
    t.clock.advance(100)
    await t.lose('a', 'b')
    held.resolve()
    const page = await polling
    expect(page.gap).toMatchObject({ from: cursorText, reason: 'log_lost' })
    expect(page.events.map(({ data }) => data)).toEqual(['a', 'b'])
  })
})
