import { describe, expect, it } from 'vitest'
import type { Retention } from '../src/index.ts'
import {
  DAY_MS,
  dataOf,
  event,
  HOUR_MS,
  type NewPlace,
  numbersOf,
  openedLog,
  readAll,
  resume,
} from './log-fixture.ts'

const MINUTE_MS = 60_000
const MAX_EVENTS = 5

/** Users' topics are kept a day, all others five minutes; ten times as many of a user's events. */
function retention(topic: string): Retention {
  return topic.startsWith('user:')
    ? { maxEvents: 10 * MAX_EVENTS, maxAgeMs: DAY_MS }
    : { maxEvents: MAX_EVENTS, maxAgeMs: 5 * MINUTE_MS }
}

/** What every adapter lets go of, and whom it tells. */
export function retentionContract(name: string, newPlace: NewPlace): void {
  async function opened() {
    const { clock, store, log } = await openedLog(newPlace, { retention })
    const ids: string[] = []
    /** Appends one event after another, a second apart; their numbers go on. */
    const append = async (count: number, ...to: string[]) => {
      for (let i = 0; i < count; i++) {
        const [entry] = await log.append([event(ids.length + 1, ...to)])
        if (entry !== undefined) ids.push(entry.event.id)
        clock.advance(1_000)
      }
    }
    const idOf = (n: number) => ids[n - 1] ?? ''
    return { clock, store, log, append, idOf, [Symbol.asyncDispose]: () => store.close() }
  }

  describe(`${name}: retention`, () => {
    it('is by count, per class of topic', async () => {
      await using t = await opened()
      await t.append(8, 'group:a')
      await t.append(8, 'user:u')
      expect(dataOf(await readAll(t.log, 0, { topics: ['group:a'] }))).toEqual([4, 5, 6, 7, 8])
      expect(dataOf(await readAll(t.log, 0, { topics: ['user:u'] }))).toHaveLength(8)
    })

    it('is by age, per class of topic, also where nothing is appended', async () => {
      await using t = await opened()
      await t.append(2, 'group:a')
      await t.append(1, 'user:u')
      t.clock.advance(5 * MINUTE_MS)
      await t.store.trim()
      expect(dataOf(await readAll(t.log))).toEqual([3])
      t.clock.advance(DAY_MS)
      await t.store.trim()
      expect(dataOf(await readAll(t.log))).toEqual([])
    })

    it('comes by itself at an interval', async () => {
      await using t = await opened()
      await t.append(1, 'group:a')
      t.clock.advance(10 * MINUTE_MS)
      expect(dataOf(await readAll(t.log))).toEqual([])
    })

    it('is by bytes of all topics together, the oldest first', async () => {
      const keepAll = () => ({ maxEvents: 1_000, maxAgeMs: DAY_MS })
      await using t = await openedLog(newPlace, { retention: keepAll, maxBytes: 1_000 })
      const text = 'x'.repeat(98)
      const ids: string[] = []
      const append = async (...to: string[]) => {
        const [entry] = await t.log.append([event(text, ...to)])
        ids.push(entry?.event.id ?? '')
      }
      await append('user:u', 'group:a')
      for (let i = 2; i <= 6; i++) await append('group:a')
      await append('user:u')
      for (let i = 8; i <= 14; i++) await append('group:b')
      await t.store.trim()
      expect(numbersOf(await readAll(t.log))).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14])
      const back = (n: number, ...topics: string[]) => resume(t.log, ids[n - 1] ?? '', topics)
      expect(await back(3, 'group:a')).toMatchObject({ gap: 'expired', data: [text, text] })
      expect(await back(4, 'group:a')).toMatchObject({ gap: undefined, data: [text, text] })
      expect(await back(1, 'user:u')).toMatchObject({ gap: undefined, data: [text] })
      expect(await resume(t.log, `${t.clock.now() - 1}`, ['user:u'])).toMatchObject({ gap: 'expired' })
      expect(await back(1, 'group:b')).toMatchObject({ gap: undefined })
    })

    it('by bytes does not count what has gone already', async () => {
      await using t = await openedLog(newPlace, { retention, maxBytes: 1_000 })
      const text = 'x'.repeat(98)
      await t.log.append([event('queued', 'user:u')])
      for (let i = 0; i < 20; i++) await t.log.append([event(text, 'group:a')])
      await t.store.trim()
      expect(dataOf(await readAll(t.log))).toEqual(['queued', text, text, text, text, text])
    })

    it('by bytes is of a run’s log, too', async () => {
      await using t = await openedLog(newPlace, { runId: 'run_1', retention, maxBytes: 300 })
      for (let i = 1; i <= 5; i++) await t.log.append([event('x'.repeat(98))])
      await t.store.trim()
      expect(numbersOf(await readAll(t.log))).toEqual([3, 4, 5])
      expect((await t.log.read(1)).lostUpTo).toMatchObject({ n: 2 })
    })

    it('is of the whole log where it is a run’s', async () => {
      await using t = await openedLog(newPlace, { runId: 'run_1', retention })
      for (let i = 1; i <= 12; i++) await t.log.append([event(i)])
      await t.store.trim()
      expect(dataOf(await readAll(t.log))).toEqual([8, 9, 10, 11, 12])
      const ms = t.clock.now()
      expect(await resume(t.log, `run_1.${ms}-7`)).toMatchObject({ gap: undefined, data: [8, 9, 10, 11, 12] })
      expect(await resume(t.log, `run_1.${ms}-6`)).toMatchObject({
        gap: 'expired',
        data: [8, 9, 10, 11, 12],
      })
    })

    it('says from where to where events are kept', async () => {
      await using t = await opened()
      const zero = t.log.head
      expect(await t.log.position()).toEqual({ last: zero })
      await t.append(8, 'group:a')
      await t.append(2, 'user:u')
      const numbers = async (...topics: string[]) => {
        const { first, last, trimmedUpTo } = await t.log.position(topics)
        return [first?.n, last.n, trimmedUpTo?.n]
      }
      expect(await numbers('group:a')).toEqual([4, 8, 3])
      expect(await numbers('user:u')).toEqual([9, 10, undefined])
      expect(await numbers('group:a', 'user:u')).toEqual([4, 10, 3])
      expect(await numbers('group:never')).toEqual([undefined, 0, undefined])
      expect(await t.log.position()).toMatchObject({
        first: { n: 4 },
        last: t.log.head,
        trimmedUpTo: { n: 3 },
      })
      t.clock.advance(HOUR_MS)
      await t.store.trim()
      expect(await numbers('group:a')).toEqual([undefined, 8, 8])
    })

    it('keeps an entry under the topic that is kept longer', async () => {
      await using t = await opened()
      await t.append(1, 'group:a', 'user:u')
      t.clock.advance(HOUR_MS)
      await t.store.trim()
      expect(dataOf(await readAll(t.log, 0, { topics: ['group:a'] }))).toEqual([])
      expect(dataOf(await readAll(t.log, 0, { topics: ['group:a', 'user:u'] }))).toEqual([1])
    })
  })

  describe(`${name}: an expired cursor`, () => {
    it('is told for these topics, and goes on at the oldest kept', async () => {
      await using t = await opened()
      await t.append(8, 'group:a')
      expect(await resume(t.log, t.idOf(2), ['group:a'])).toMatchObject({
        gap: 'expired',
        after: { n: 3 },
        data: [4, 5, 6, 7, 8],
      })
      expect(await resume(t.log, t.idOf(3), ['group:a'])).toMatchObject({
        gap: undefined,
        data: [4, 5, 6, 7, 8],
      })
    })

    it('is no alarm for a quiet topic while others are trimmed', async () => {
      await using t = await opened()
      await t.append(1, 'group:quiet')
      await t.append(30, 'group:busy')
      expect(await resume(t.log, t.idOf(1), ['group:quiet'])).toMatchObject({ gap: undefined, data: [] })
      expect(await resume(t.log, t.idOf(9), ['group:quiet'])).toMatchObject({ gap: undefined, data: [] })
      expect(await resume(t.log, t.idOf(9), ['group:never'])).toMatchObject({ gap: undefined, data: [] })
      expect(await resume(t.log, t.idOf(9), ['group:quiet', 'group:busy'])).toMatchObject({ gap: 'expired' })
    })

    it('leads on without a second alarm from where the gap said', async () => {
      await using t = await opened()
      await t.append(8, 'group:a')
      const told = await resume(t.log, t.idOf(1), ['group:a'])
      expect(told.gap).toBe('expired')
      expect(await resume(t.log, t.log.idOf(told.after), ['group:a'])).toMatchObject({
        gap: undefined,
        data: told.data,
      })
    })

    it('is told by time, too, except by 0', async () => {
      await using t = await opened()
      const startMs = t.clock.now()
      await t.append(8, 'group:a')
      const since = (ms: number) => resume(t.log, `${startMs + ms}`, ['group:a'])
      expect(await since(1_000)).toMatchObject({ gap: 'expired', data: [4, 5, 6, 7, 8] })
      // The third came two seconds after the start, and is the last that is gone.
      expect(await since(2_000)).toMatchObject({ gap: undefined, data: [4, 5, 6, 7, 8] })
      expect(await since(4_000)).toMatchObject({ gap: undefined, data: [6, 7, 8] })
      expect(await resume(t.log, '0', ['group:a'])).toMatchObject({ gap: undefined, data: [4, 5, 6, 7, 8] })
    })

    it('is told after all is gone, and goes on at the end', async () => {
      await using t = await opened()
      await t.append(3, 'group:a')
      t.clock.advance(HOUR_MS)
      await t.store.trim()
      expect(await resume(t.log, t.idOf(1), ['group:a'])).toMatchObject({
        gap: 'expired',
        after: { n: 3 },
        data: [],
      })
      expect(await resume(t.log, t.idOf(3), ['group:a'])).toMatchObject({ gap: undefined, data: [] })
    })

    it('does not cost an offline user what is kept for him', async () => {
      await using t = await opened()
      const topics = ['group:a', 'user:u']
      await t.append(1, 'group:a')
      await t.append(3, 'user:u')
      await t.append(9, 'group:a')
      const back = await resume(t.log, t.idOf(1), topics)
      // Numbers 5 to 8 are gone, and he is told; what waited for him has lower numbers, and he gets it.
      expect(back).toMatchObject({ gap: 'expired', data: [2, 3, 4, 9, 10, 11, 12, 13] })
      const start = await t.log.locate({ kind: 'time', ms: 0 }, topics)
      expect(start.gap).toBeUndefined()
      expect((await resume(t.log, '0', topics)).data).toEqual([2, 3, 4, 9, 10, 11, 12, 13])
    })

    it('says up to where events may be missing where delivery goes on before that', async () => {
      await using t = await opened()
      await t.append(1, 'user:u')
      await t.append(1, 'user:u')
      await t.append(9, 'group:a')
      const start = await t.log.locate({ kind: 'event', ms: t.log.head.ms - 10_000, n: 1 }, [
        'group:a',
        'user:u',
      ])
      expect(start).toMatchObject({ gap: 'expired', after: { n: 1 }, lostUpTo: { n: 6 } })
    })

    it('bounds what a reader costs that stalls: the rest is told to be gone', async () => {
      await using t = await opened()
      await t.append(1, 'group:a')
      const stalled = await t.log.read(0, { topics: ['group:a'], limit: 1 })
      expect(stalled.lostUpTo).toBeUndefined()
      await t.append(1_000, 'group:a')
      await t.store.trim()
      const page = await t.log.read(1, { topics: ['group:a'] })
      expect(dataOf(page.entries)).toEqual([997, 998, 999, 1_000, 1_001])
      expect(page.lostUpTo).toMatchObject({ n: 996 })
    })

    it('is told to whoever reads on over the gap, too', async () => {
      await using t = await opened()
      await t.append(8, 'group:a')
      expect((await t.log.read(1, { topics: ['group:a'] })).lostUpTo).toMatchObject({ n: 3 })
      expect((await t.log.read(1, { topics: ['group:b'] })).lostUpTo).toBeUndefined()
    })
  })

  describe(`${name}: the memory of what was trimmed`, () => {
    it('lasts a day for a topic without events, and alarms nobody else', async () => {
      await using t = await opened()
      await t.append(3, 'group:a')
      await t.append(1, 'user:u')
      t.clock.advance(DAY_MS - HOUR_MS)
      await t.store.trim()
      expect(await resume(t.log, t.idOf(1), ['group:a'])).toMatchObject({ gap: 'expired' })
      expect(await resume(t.log, t.idOf(1), ['user:u'])).toMatchObject({ gap: undefined, data: [4] })
    })

    it('is then given up for all topics together: a gap is told too wide, never missing', async () => {
      await using t = await opened()
      await t.append(3, 'group:a')
      t.clock.advance(2 * DAY_MS)
      await t.store.trim()
      await t.append(1, 'group:b')
      expect(await resume(t.log, t.idOf(1), ['group:a'])).toMatchObject({ gap: 'expired', data: [] })
      expect(await resume(t.log, t.idOf(1), ['group:b'])).toMatchObject({ gap: 'expired', data: [4] })
      expect(await resume(t.log, t.idOf(3), ['group:b'])).toMatchObject({ gap: undefined, data: [4] })
    })
  })
}
