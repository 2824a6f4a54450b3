import { type Audience, audienceTopics } from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import type { OpenOptions } from '../src/index.ts'
import { DAY_MS, dataOf, event, KEEP_ALL, type NewPlace, openedLog, readAll, resume } from './log-fixture.ts'

/** What every adapter gives to a reader, and to one that comes back. */
export function resumeContract(name: string, newPlace: NewPlace): void {
  const opened = (options?: OpenOptions) => openedLog(newPlace, options)

  describe(`${name}: read`, () => {
    it('answers what comes after, in pages', async () => {
      await using t = await opened()
      await t.log.append(Array.from({ length: 10 }, (_, i) => event(i + 1)))
      const page = await t.log.read(3, { limit: 4 })
      expect([dataOf(page.entries), page.hasMore]).toEqual([[4, 5, 6, 7], true])
      const last = await t.log.read(7, { limit: 3 })
      expect([dataOf(last.entries), last.hasMore]).toEqual([[8, 9, 10], false])
      expect(await t.log.read(10)).toMatchObject({ entries: [], hasMore: false })
      expect(await t.log.read(99)).toMatchObject({ entries: [], hasMore: false })
    })

    it('bounds a page that nobody bounded', async () => {
      await using t = await opened()
      await t.log.append(Array.from({ length: 300 }, (_, i) => event(i)))
      const page = await t.log.read(0)
      expect([page.entries.length, page.hasMore]).toEqual([256, true])
    })

    it('bounds a page by its characters, too, beyond its first entry', async () => {
      await using t = await opened()
      const large = 'x'.repeat(1_000)
      await t.log.append(Array.from({ length: 10 }, () => event(large, 'group:g')))
      for (const topics of [undefined, ['group:g'] as const]) {
        const selected = topics === undefined ? {} : { topics }
        const numbers = async (afterN: number, maxChars: number) => {
          const page = await t.log.read(afterN, { ...selected, maxChars })
          return [page.entries.map(({ position }) => position.n), page.hasMore]
        }
        expect(await numbers(0, 3_500)).toEqual([[1, 2, 3], true])
        expect(await numbers(3, 1)).toEqual([[4], true])
        expect(await numbers(8, 3_500)).toEqual([[9, 10], false])
      }
    })

    it('selects by topic, and gives an entry under several topics once', async () => {
      await using t = await opened()
      await t.log.append([
        event(1, 'group:a'),
        event(2, 'group:b'),
        event(3, 'group:a', 'group:b', 'user:u'),
        event(4, 'user:u'),
        event(5, 'group:c'),
      ])
      const of = async (...topics: string[]) => dataOf(await readAll(t.log, 0, { topics, limit: 1 }))
      expect(await of('group:a')).toEqual([1, 3])
      expect(await of('group:a', 'group:b', 'user:u')).toEqual([1, 2, 3, 4])
      expect(await of('user:u', 'group:a', 'group:a')).toEqual([1, 3, 4])
      expect(await of('group:none')).toEqual([])
      expect(await of()).toEqual([])
      expect(dataOf(await readAll(t.log))).toEqual([1, 2, 3, 4, 5])
    })

    it('selects by as many topics as a reader has', async () => {
      await using t = await opened()
      const groups = Array.from({ length: 150 }, (_, i) => `group:${i}`)
      await t.log.append(groups.map((group, i) => event(i, group)))
      await t.log.append(groups.map((group, i) => event(i + 150, group, 'user:u')))
      const topics = [...groups.toReversed(), 'user:u']
      const all = await readAll(t.log, 0, { topics, limit: 70 })
      expect(dataOf(all)).toEqual(Array.from({ length: 300 }, (_, i) => i))
    })

    it('keeps for whom an entry is', async () => {
      await using t = await opened()
      const narrowed: Audience = {
        all: true,
        roles: ['admin'],
        sessions: ['s'],
        connections: ['c'],
        only: { user: 'u', session: 't' },
        where: { color: 'red', size: 1, round: true, none: null },
      }
      await t.log.append([event(1, 'group:a', 'user:u'), event(2)])
      await t.log.append([{ ...event(3), audience: narrowed }])
      const [first, second, third] = await readAll(t.log)
      expect(first?.audience).toMatchObject({ users: ['u'], groups: ['a'] })
      expect(first?.topics.toSorted()).toEqual(['group:a', 'user:u'])
      expect(second?.audience).toBeUndefined()
      expect(third?.audience).toEqual(narrowed)
      expect(third?.topics).toEqual(audienceTopics(narrowed))
      for (const topic of audienceTopics(narrowed)) {
        expect(dataOf(await readAll(t.log, 0, { topics: [topic] }))).toEqual([3])
      }
    })

    it('keeps an entry for nobody, which only whoever reads everything gets', async () => {
      await using t = await opened()
      await t.log.append([{ ...event(1), audience: {} }, event(2, 'group:a')])
      expect(dataOf(await readAll(t.log))).toEqual([1, 2])
      expect(dataOf(await readAll(t.log, 0, { topics: ['all', 'group:a'] }))).toEqual([2])
    })
  })

  describe(`${name}: resume`, () => {
    it('goes on after each id, exclusively, without a gap', async () => {
      await using t = await opened()
      for (let i = 1; i <= 5; i++) {
        await t.log.append([event(i)])
        t.clock.advance(i % 2)
      }
      for (const { event: told, position } of await readAll(t.log)) {
        const { gap, data } = await resume(t.log, told.id)
        expect([gap, data]).toEqual([undefined, [1, 2, 3, 4, 5].slice(position.n)])
      }
    })

    it('goes on after the head of an empty log', async () => {
      await using t = await opened()
      const id = t.log.idOf(t.log.head)
      expect(await resume(t.log, id)).toMatchObject({ gap: undefined, data: [] })
      t.clock.advance(10)
      await t.log.append([event(1)])
      expect(await resume(t.log, id)).toMatchObject({ gap: undefined, data: [1] })
    })

    it('gives everything later than a bare time, never ahead', async () => {
      await using t = await opened()
      const startMs = t.clock.now()
      for (let i = 1; i <= 3; i++) {
        t.clock.advance(10)
        await t.log.append([event(i)])
      }
      const since = async (ms: number) => await resume(t.log, `${startMs + ms}`)
      expect(await since(0)).toMatchObject({ gap: undefined, data: [1, 2, 3] })
      expect(await since(10)).toMatchObject({ gap: undefined, data: [2, 3] })
      expect(await since(15)).toMatchObject({ gap: undefined, data: [2, 3] })
      expect(await since(30)).toMatchObject({ gap: undefined, data: [] })
      expect(await since(DAY_MS)).toMatchObject({ gap: undefined, data: [] })
      expect(await resume(t.log, '0')).toMatchObject({ gap: undefined, data: [1, 2, 3] })
    })

    it('tells a cursor ahead of the log, and gives what there is', async () => {
      await using t = await opened()
      await t.log.append([event(1), event(2)])
      expect(await resume(t.log, `${t.clock.now()}-3`)).toMatchObject({ gap: 'ahead', data: [1, 2] })
      expect(await resume(t.log, `${t.clock.now() + DAY_MS}-900`)).toMatchObject({
        gap: 'ahead',
        data: [1, 2],
      })
    })

    it('tells a cursor of another log, whose number is higher and whose time is earlier than this one has', async () => {
      await using t = await opened()
      const startMs = t.clock.now()
      const before = `${startMs - 1}-900`
      expect(await resume(t.log, before)).toMatchObject({ gap: 'log_lost', data: [] })
      t.clock.advance(100)
      await t.log.append([event(1), event(2)])
      for (const cursor of [before, `${startMs - 1}-3`, `${startMs}-3`, `${startMs + 99}-900`]) {
        expect(await resume(t.log, cursor)).toMatchObject({ gap: 'log_lost', data: [1, 2] })
      }
    })

    it('tells a cursor of another log, whose number stands here with other milliseconds', async () => {
      await using t = await opened()
      const startMs = t.clock.now()
      for (let i = 1; i <= 3; i++) {
        t.clock.advance(100)
        await t.log.append([event(i, 'group:a')])
      }
      for (const cursor of [
        `${startMs + 101}-1`,
        `${startMs + 100}-2`,
        `${startMs + 350}-3`,
        `${startMs - 1}-2`,
      ]) {
        for (const topics of [undefined, ['group:a'], ['group:b']]) {
          const { gap, data } = await resume(t.log, cursor, topics)
          expect([cursor, gap, data]).toEqual([
            cursor,
            'log_lost',
            topics?.[0] === 'group:b' ? [] : [1, 2, 3],
          ])
        }
      }
      expect(await resume(t.log, `${startMs - 1}-0`)).toMatchObject({ gap: 'log_lost' })
    })

    it('tells a cursor of another run', async () => {
      await using t = await opened({ ...KEEP_ALL, runId: 'run_1' })
      const [entry] = await t.log.append([event(1)])
      const ms = entry?.position.ms ?? 0
      expect(await resume(t.log, `run_1.${ms}-1`)).toMatchObject({ gap: undefined, data: [] })
      expect(await resume(t.log, `run_2.${ms}-1`)).toMatchObject({ gap: 'log_lost', data: [1] })
    })

    it('takes the place before the first event of a run, which nobody knows the time of', async () => {
      await using t = await opened({ ...KEEP_ALL, runId: 'run_1' })
      await t.log.append([event(1)])
      expect(await resume(t.log, 'run_1.0-0')).toMatchObject({ gap: undefined, data: [1] })
    })
  })
}
