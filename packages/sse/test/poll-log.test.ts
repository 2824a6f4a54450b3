import type { ReadableLog } from '@tributary/eventlog'
import { MirrorLog } from '@tributary/eventlog'
import { describe, expect, it } from 'vitest'
import { type PollOptions, pollLog, WaitingPolls } from '../src/index.ts'
import { append, fixture, logWith } from './stream-fixture.ts'

type Asked = Partial<Omit<PollOptions, 'clock'>>

/** A log, and polls of it as a client does them: each presents the cursor of the answer before. */
async function polled(open: Parameters<typeof fixture>[0] = {}) {
  const t = await fixture(open)
  const poll = (asked: Asked = {}) => pollLog({ log: t.log, clock: t.clock, startAt: 'oldest', ...asked })
  return { ...t, poll, [Symbol.asyncDispose]: t[Symbol.asyncDispose] }
}

const said = ({ events }: { events: readonly { data: unknown }[] }) => events.map(({ data }) => data)
const at = (cursor: string) => ({ cursor: idOf(cursor), cursorText: cursor })

function idOf(text: string) {
  const [ms = 0, n = 0] = text.split('-').map(Number)
  return { kind: 'event', ms, n } as const
}

/** Lets what is due in this turn happen. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('pollLog', () => {
  it('answers page after page with whole events, until there are no more', async () => {
    await using t = await polled()
    const entries = await append(t.log, [1, 2, 3, 4, 5])
    const first = await t.poll({ limit: 2 })
    expect(first.events[0]).toEqual({
      id: entries[0]?.event.id,
      type: 'said',
      data: 1,
      timestamp: t.clock.now(),
      priority: 'normal',
      source: 'test',
      version: '1',
    })
    expect([said(first), first.hasMore, first.cursor]).toEqual([[1, 2], true, entries[1]?.event.id])
    const second = await t.poll({ ...at(first.cursor), limit: 2 })
    const third = await t.poll({ ...at(second.cursor), limit: 2 })
    expect([said(second), second.hasMore, said(third), third.hasMore]).toEqual([[3, 4], true, [5], false])
    const none = await t.poll(at(third.cursor))
    expect(none.toJSON()).toEqual({ events: [], cursor: third.cursor, hasMore: false, ended: false })
    expect(JSON.parse(first.json)).toEqual(JSON.parse(JSON.stringify(first)))
  })

  it('moves the cursor past what is for others', async () => {
    await using t = await polled()
    await append(t.log, [1], 'a')
    const [last] = await append(t.log, [2], 'b')
    const page = await t.poll({ topics: ['group:a'] })
    expect([said(page), page.cursor]).toEqual([[1], last?.event.id])
    const [next] = await append(t.log, [3], 'b')
    expect((await t.poll({ ...at(page.cursor), topics: ['group:a'] })).cursor).toBe(next?.event.id)
  })

  it('gives a new reader of the head its cursor at once, also where it would wait', async () => {
    await using t = await polled()
    await append(t.log, [1])
    const page = await t.poll({ startAt: 'head', waitMs: 1_000 })
    expect([said(page), page.cursor]).toEqual([[], t.log.idOf(t.log.head)])
    expect(t.clock.timerCount).toBe(1)
  })

  it('waits for the first event that is for it', async () => {
    await using t = await polled()
    const waiting = new WaitingPolls()
    const timers = t.clock.timerCount
    const page = t.poll({ waitMs: 1_000, waiting, accepts: ({ event }) => event.data === 'mine' })
    await settle()
    expect([waiting.size, t.clock.timerCount]).toEqual([1, timers + 1])
    await append(t.log, ['other'])
    await settle()
    expect(waiting.size).toBe(1)
    await append(t.log, ['mine', 'other', 'mine'])
    expect(said(await page)).toEqual(['mine', 'mine'])
    expect([waiting.size, t.clock.timerCount]).toEqual([0, timers])
  })

  it('misses nothing that is appended while it begins to wait', async () => {
    await using t = await polled()
    for (let turns = 0; turns < 12; turns++) {
      const before = t.log.idOf(t.log.head)
      const page = t.poll({ ...at(before), waitMs: 1_000 })
      for (let n = 0; n < turns; n++) await undefined
      await append(t.log, [turns])
      expect(said(await page)).toEqual([turns])
    }
  })

  it('answers when its time is over, with where it has come to', async () => {
    await using t = await polled()
    const page = t.poll({ waitMs: 1_000, topics: ['group:a'] })
    await settle()
    const [entry] = await append(t.log, [1], 'b')
    t.clock.advance(999)
    await settle()
    t.clock.advance(1)
    expect(await page).toMatchObject({ events: [], cursor: entry?.event.id, hasMore: false })
  })

  it('stops waiting when who asked has gone, or all are to be answered, and leaves nothing', async () => {
    await using t = await polled()
    const waiting = new WaitingPolls()
    const gone = new AbortController()
    const left = t.poll({ waitMs: 1_000, waiting, signal: gone.signal })
    const other = t.poll({ waitMs: 1_000, waiting })
    await settle()
    gone.abort()
    await left
    expect(waiting.size).toBe(1)
    for (const end of waiting.close()) end()
    expect(said(await other)).toEqual([])
    expect([waiting.size, t.clock.timerCount]).toEqual([0, 1])
    expect(said(await t.poll({ waitMs: 1_000, waiting }))).toEqual([])
    expect(said(await t.poll({ waitMs: 1_000, signal: gone.signal }))).toEqual([])
  })

  it('refuses one that would wait beside too many others', async () => {
    await using t = await polled()
    const waiting = new WaitingPolls(1)
    const page = t.poll({ waitMs: 1_000, waiting })
    await settle()
    await expect(t.poll({ waitMs: 1_000, waiting })).rejects.toMatchObject({
      code: 'overloaded',
      retryAfterS: expect.any(Number),
    })
    await append(t.log, [1])
    expect(said(await page)).toEqual([1])
    expect(said(await t.poll({ waitMs: 1_000, waiting }))).toEqual([1])
  })

  it('says that a log has ended, and waits for nothing more', async () => {
    await using t = await polled({ runId: 'run_1' })
    const page = t.poll({ waitMs: 1_000 })
    await settle()
    await t.log.close({ event: { type: 'complete', data: null, source: 'test' } })
    expect(await page).toMatchObject({ entries: [{}], ended: true, hasMore: false })
    const { ms, n } = t.log.head
    const cursor = { kind: 'event', runId: 'run_1', ms, n } as const
    expect(await t.poll({ cursor, waitMs: 1_000 })).toMatchObject({ entries: [], ended: true })
  })

  it('tells what is lost before the events, and from where', async () => {
    await using t = await polled({ retention: () => ({ maxEvents: 2, maxAgeMs: 1_000_000 }) })
    const before = t.log.idOf(t.log.head)
    await append(t.log, [1, 2, 3, 4])
    const page = await t.poll({ ...at(before), waitMs: 1_000 })
    expect(page.gap).toMatchObject({ from: before, reason: 'expired' })
    expect(said(page)).toEqual([3, 4])
    const oldest = await t.poll()
    expect([oldest.gap, said(oldest)]).toEqual([undefined, [3, 4]])
    const ahead = await t.poll(at(`${t.log.head.ms}-99`))
    expect(ahead.gap).toMatchObject({ from: `${t.log.head.ms}-99`, reason: 'ahead' })
    const lost = await t.poll(at('1-99'))
    expect(lost.gap).toMatchObject({ from: '1-99', reason: 'log_lost' })
  })

  it('ends a page before what was trimmed while it was read, and tells it at the next', async () => {
    await using t = await polled({ retention: () => ({ maxEvents: 100, maxAgeMs: 1_000_000 }) })
    await append(
      t.log,
      Array.from({ length: 100 }, (_, n) => n + 1),
    )
    let reads = 0
    const log: ReadableLog = logWith(t.log, {
      async read(afterN, options) {
        if (++reads === 2)
          await append(
            t.log,
            Array.from({ length: 100 }, (_, n) => n + 101),
          )
        return t.log.read(afterN, options)
      },
    })
    const page = await t.poll({ log, limit: 10, accepts: ({ event }) => Number(event.data) % 60 > 55 })
    expect([said(page), page.hasMore, page.gap]).toEqual([[56, 57, 58, 59], true, undefined])
    const next = await t.poll(at(page.cursor))
    expect(next.gap).toMatchObject({ from: page.cursor, reason: 'expired' })
    expect(said(next)).toHaveLength(100)
  })

  it('is bounded in what it looks at and what it answers with', async () => {
    await using t = await polled()
    await append(
      t.log,
      Array.from({ length: 20_000 }, (_, n) => n),
    )
    const rare = await t.poll({ limit: 1, accepts: ({ event }) => event.data === 19_999 })
    expect([said(rare), rare.hasMore]).toEqual([[], true])
    expect(idOf(rare.cursor).n).toBeGreaterThan(1_000)
    await append(t.log, ['x'.repeat(900_000), 'y'.repeat(900_000)])
    const large = await t.poll({ cursor: { kind: 'event', ...t.log.head, n: 20_000 } })
    expect([large.events.length, large.hasMore]).toEqual([1, true])
  })

  it('writes the names of the stream', async () => {
    await using t = await polled()
    await t.log.append([{ event: { type: 'task_error', data: { taskId: 't' }, source: 'test' } }])
    const page = await t.poll({ naming: 'emitter' })
    expect([page.events[0]?.type, JSON.parse(page.json).events[0].type]).toEqual(['error', 'error'])
  })

  it('reads a mirror whose owner may be ahead, and waits there', async () => {
    await using t = await polled({ runId: 'run_1' })
    const retention = { maxEvents: 100, maxAgeMs: 1_000_000 }
    const mirror = new MirrorLog({ runId: 'run_1', retention, now: () => t.clock.now() })
    const [first, second] = await append(t.log, [1, 2])
    if (first === undefined || second === undefined) throw new Error('nothing was appended')
    mirror.add(first, false)
    const cursor = { kind: 'event', runId: 'run_1', ...second.position } as const
    const page = t.poll({ log: mirror, cursor, waitMs: 1_000 })
    await settle()
    mirror.add(second, false)
    const last = await t.log.close({ event: { type: 'complete', data: 3, source: 'test' } })
    await settle()
    mirror.add(last, true)
    expect(await page).toMatchObject({ entries: [last], ended: true })
  })
})
