import { describe, expect, it } from 'vitest'
import type { LogEntry, OpenOptions, Retention } from '../src/index.ts'
import {
  DAY_MS,
  dataOf,
  event,
  HOUR_MS,
  KEEP_ALL,
  type NewPlace,
  numbersOf,
  openedLog,
  readAll,
  resume,
} from './log-fixture.ts'
import { ONCE } from './once-contract.ts'

const MINUTE_MS = 60_000
const FIVE_OF_A_TOPIC: OpenOptions = {
  retention: (topic): Retention =>
    topic.startsWith('user:')
      ? { maxEvents: 50, maxAgeMs: DAY_MS }
      : { maxEvents: 5, maxAgeMs: 5 * MINUTE_MS },
}

/** What every durable adapter finds again. */
export function restartContract(name: string, newPlace: NewPlace): void {
  const opened = (options?: OpenOptions) => openedLog(newPlace, options)

  describe(`${name}: after a restart`, () => {
    it('ids go on rising without holes, also when the clock was set back', async () => {
      await using t = await opened()
      expect(t.store.durable).toBe(true)
      const entries: LogEntry[] = []
      for (const jumpMs of [0, 5_000, -DAY_MS, 0, DAY_MS, -1]) {
        t.clock.jumpTo(t.clock.now() + jumpMs)
        entries.push(...(await t.log.append([event('a'), event('b')])))
        await t.restart()
        expect(t.log.head).toEqual(entries.at(-1)?.position)
      }
      expect(numbersOf(entries)).toEqual(entries.map((_, i) => i + 1))
      for (const [i, { position }] of entries.entries()) {
        expect(position.ms).toBeGreaterThanOrEqual(entries[i - 1]?.position.ms ?? 0)
      }
    })

    it('everything is there as it was said', async () => {
      await using t = await opened()
      await t.log.append([
        event({ text: 'Grüße \u2028 \ud83d\ude00 \u0000', list: [1, 2.5, null] }, 'group:a', 'user:u'),
        {
          event: {
            type: 'rich',
            json: '{ "spaced" :  1}',
            source: 's',
            priority: 'critical',
            metadata: { correlationId: 'c', deep: { x: [1] } },
          },
          audience: { all: true, where: { color: 'red' }, only: { user: 'u' } },
        },
        event('\ud800 alone'),
      ])
      const before = await readAll(t.log)
      await t.restart()
      const after = await readAll(t.log)
      expect(after).toEqual(before)
      expect(after.map(({ event: told }) => told.json)).toEqual(before.map(({ event: told }) => told.json))
      expect(after.map(({ event: told }) => told.metadata)).toEqual(
        before.map(({ event: told }) => told.metadata),
      )
    })

    it('each id resumes exclusively, and no other gap is told than before', async () => {
      await using t = await opened()
      const zero = t.log.idOf(t.log.head)
      for (let i = 1; i <= 5; i++) {
        t.clock.advance(10)
        await t.log.append([event(i, 'group:a')])
      }
      const entries = await readAll(t.log)
      await t.restart(HOUR_MS)
      for (const topics of [undefined, ['group:a']]) {
        for (const { event: told, position } of entries) {
          expect(await resume(t.log, told.id, topics)).toMatchObject({
            gap: undefined,
            data: [1, 2, 3, 4, 5].slice(position.n),
          })
          const other = `${position.ms + 1}-${position.n}`
          expect(await resume(t.log, other, topics)).toMatchObject({ gap: 'log_lost' })
        }
        expect(await resume(t.log, zero, topics)).toMatchObject({ gap: undefined, data: [1, 2, 3, 4, 5] })
        expect(await resume(t.log, '0', topics)).toMatchObject({ gap: undefined, data: [1, 2, 3, 4, 5] })
        const since = `${entries[2]?.position.ms}`
        expect(await resume(t.log, since, topics)).toMatchObject({ gap: undefined, data: [4, 5] })
        const ahead = `${t.log.head.ms}-6`
        expect(await resume(t.log, ahead, topics)).toMatchObject({ gap: 'ahead', data: [1, 2, 3, 4, 5] })
      }
    })

    it('the place before the first event of an empty log is known', async () => {
      await using t = await opened()
      const zero = t.log.idOf(t.log.head)
      await t.restart(HOUR_MS)
      expect(t.log.idOf(t.log.head)).toBe(zero)
      await t.log.append([event(1)])
      expect(await resume(t.log, zero)).toMatchObject({ gap: undefined, data: [1] })
    })

    it('what is trimmed stays trimmed, and is told to whom it concerns', async () => {
      await using t = await opened(FIVE_OF_A_TOPIC)
      const ids: string[] = []
      const append = async (...to: string[]) => {
        const [entry] = await t.log.append([event(ids.length + 1, ...to)])
        ids.push(entry?.event.id ?? '')
        t.clock.advance(1_000)
      }
      await append('group:quiet')
      for (let i = 0; i < 8; i++) await append('group:a')
      for (const trims of [false, true]) {
        if (trims) await t.store.trim()
        await t.restart()
        expect(await resume(t.log, ids[2] ?? '', ['group:a'])).toMatchObject({
          gap: 'expired',
          after: { n: 4 },
          data: [5, 6, 7, 8, 9],
        })
        expect(await resume(t.log, ids[3] ?? '', ['group:a'])).toMatchObject({
          gap: undefined,
          data: [5, 6, 7, 8, 9],
        })
        expect(await resume(t.log, ids[0] ?? '', ['group:quiet'])).toMatchObject({ gap: undefined, data: [] })
      }
    })

    it('what grew too old meanwhile is gone; what is kept for a user is not', async () => {
      await using t = await opened(FIVE_OF_A_TOPIC)
      const [entry] = await t.log.append([event('shared', 'group:a', 'user:u')])
      await t.log.append([event('group', 'group:a'), event('user', 'user:u')])
      await t.restart(HOUR_MS)
      const id = entry?.event.id ?? ''
      expect(await resume(t.log, id, ['group:a'])).toMatchObject({ gap: 'expired', data: [] })
      expect(await resume(t.log, id, ['user:u'])).toMatchObject({ gap: undefined, data: ['user'] })
      await t.store.trim()
      await t.restart()
      expect(await resume(t.log, id, ['group:a'])).toMatchObject({ gap: 'expired', data: [] })
      expect(await resume(t.log, '0', ['group:a', 'user:u'])).toMatchObject({ data: ['shared', 'user'] })
      expect(t.log.head.n).toBe(3)
      await t.restart(3 * DAY_MS)
      await t.store.trim()
      await t.restart()
      expect(await readAll(t.log)).toEqual([])
      expect(t.log.head.n).toBe(3)
      expect(await resume(t.log, id, ['group:b'])).toMatchObject({ gap: 'expired', data: [] })
      expect(await resume(t.log, t.log.idOf(t.log.head), ['group:b'])).toMatchObject({ gap: undefined })
      const [next] = await t.log.append([event('next', 'group:a')])
      expect(next?.position.n).toBe(4)
    })

    it('the log of a run has its ids, its end, and as much as is kept of it', async () => {
      await using t = await opened({ ...FIVE_OF_A_TOPIC, runId: 'run_1' })
      for (let i = 1; i <= 8; i++) await t.log.append([event(i)])
      const last = await t.log.close(event('end'))
      await t.restart()
      expect(last.event.id).toBe(`run_1.${last.position.ms}-9`)
      expect(t.log.closed).toBe(true)
      expect(t.log.head).toEqual(last.position)
      expect(dataOf(await readAll(t.log))).toEqual([5, 6, 7, 8, 'end'])
      await expect(t.log.append([event('late')])).rejects.toMatchObject({ code: 'log_closed' })
      await expect(t.log.close(event('late'))).rejects.toMatchObject({ code: 'log_closed' })
      expect(await resume(t.log, last.event.id)).toMatchObject({ gap: undefined, data: [] })
      const other = `run_2.${last.position.ms}-9`
      expect(await resume(t.log, other)).toMatchObject({ gap: 'log_lost', data: [5, 6, 7, 8, 'end'] })
    })

    it('a key that was used within its window appends nothing', async () => {
      await using t = await opened()
      await t.log.append([event(0)])
      await t.log.appendOnce([event(1)], ONCE)
      await t.restart(HOUR_MS / 2)
      expect(await t.log.appendOnce([event(1)], ONCE)).toMatchObject({ replayed: true, first: { n: 2 } })
      await expect(t.log.appendOnce([event(1)], { ...ONCE, fingerprint: 'g' })).rejects.toMatchObject({
        code: 'once_conflict',
      })
      await t.restart(HOUR_MS / 2)
      expect(await t.log.appendOnce([event(1)], ONCE)).toMatchObject({ replayed: false })
    })

    it('attributes are there, and an executor that was overtaken is refused', async () => {
      await using t = await opened({ ...KEEP_ALL, attributes: { state: 'new', gone: 'x' } })
      await t.log.append([event(1)], { epoch: 2, attributes: { state: 'running', gone: null } })
      await t.restart()
      expect(Object.fromEntries(t.log.attributes)).toEqual({ state: 'running' })
      await expect(t.log.append([event(2)], { epoch: 1 })).rejects.toMatchObject({ code: 'stale_epoch' })
      await t.log.append([event(2)], { epoch: 2 })
      await t.log.append([], { epoch: 3 })
      await t.restart()
      await expect(t.log.append([event(3)], { epoch: 2 })).rejects.toMatchObject({ code: 'stale_epoch' })
    })

    it('what was dropped is gone, and the others are listed without being opened', async () => {
      await using t = await opened()
      const run = await t.store.open('run', { ...KEEP_ALL, attributes: { a: '1' } })
      const last = await run.close(event('end'))
      await t.log.append([event('old', 'group:a')])
      await t.store.drop('log')
      await t.store.close()
      await t.restart()
      expect(await readAll(t.log)).toEqual([])
      expect(t.log.head.n).toBe(0)
      expect(await t.store.list({ prefix: 'run' })).toEqual([
        { name: 'run', head: last.position, closed: true, attributes: new Map([['a', '1']]) },
      ])
    })

    it('what was on its way when the store was closed is there', async () => {
      await using t = await opened()
      const appended = t.log.append([event(1)])
      await t.restart()
      expect(dataOf(await appended)).toEqual([1])
      expect(dataOf(await readAll(t.log))).toEqual([1])
    })
  })

  describe(`${name}: once it is closed`, () => {
    it('refuses what comes, to be tried elsewhere', async () => {
      const t = await opened()
      await t.store.close()
      await expect(t.log.append([event(1)])).rejects.toMatchObject({ code: 'store_unavailable' })
      await expect(t.store.open('other', KEEP_ALL)).rejects.toMatchObject({ code: 'store_unavailable' })
    })
  })
}
