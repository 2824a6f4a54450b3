import { describe, expect, it } from 'vitest'
import type { OnceKey } from '../src/index.ts'
import {
  dataOf,
  event,
  HOUR_MS,
  KEEP_ALL,
  type NewPlace,
  numbersOf,
  openedLog,
  readAll,
} from './log-fixture.ts'

export const ONCE: OnceKey = { key: 'k', fingerprint: 'f', windowMs: HOUR_MS }

/** What every adapter does with an append that is asked for more than once. */
export function onceContract(name: string, newPlace: NewPlace): void {
  const opened = () => openedLog(newPlace)

  describe(`${name}: an append with a key`, () => {
    it('is done once within its window, and answers then what it got', async () => {
      await using t = await opened()
      await t.log.append([event('before')])
      const heard: unknown[] = []
      t.log.tail((entry) => heard.push(entry.event.data))
      const first = await t.log.appendOnce([event(1), event(2)], ONCE)
      if (first.replayed) throw new Error('the first is no replay')
      expect(numbersOf(first.entries)).toEqual([2, 3])
      t.clock.advance(HOUR_MS - 1)
      const again = await t.log.appendOnce([event(1), event(2)], ONCE)
      expect(again).toEqual({ replayed: true, first: first.entries[0]?.position })
      expect(dataOf(await readAll(t.log))).toEqual(['before', 1, 2])
      expect(heard).toEqual([1, 2])
      expect(t.log.head.n).toBe(3)
    })

    it('is done once where calls overlap', async () => {
      await using t = await opened()
      const answers = await Promise.all([1, 2, 3].map(() => t.log.appendOnce([event('once')], ONCE)))
      expect(answers.map(({ replayed }) => replayed)).toEqual([false, true, true])
      for (const answer of answers.slice(1)) expect(answer).toMatchObject({ first: { n: 1 } })
      expect(dataOf(await readAll(t.log))).toEqual(['once'])
    })

    it('is done again after its window', async () => {
      await using t = await opened()
      await t.log.appendOnce([event(1)], ONCE)
      t.clock.advance(HOUR_MS)
      expect(await t.log.appendOnce([event(2)], { ...ONCE, fingerprint: 'other' })).toMatchObject({
        replayed: false,
      })
      expect(await t.log.appendOnce([event(3)], { ...ONCE, fingerprint: 'other' })).toMatchObject({
        replayed: true,
        first: { n: 2 },
      })
      t.clock.advance(2 * HOUR_MS)
      await t.store.trim()
      expect(await t.log.appendOnce([event(4)], ONCE)).toMatchObject({ replayed: false })
      expect(dataOf(await readAll(t.log))).toEqual([1, 2, 4])
    })

    it('is refused where the key was used for something else, and nothing is appended', async () => {
      await using t = await opened()
      await t.log.appendOnce([event(1)], ONCE)
      await expect(t.log.appendOnce([event(2)], { ...ONCE, fingerprint: 'other' })).rejects.toMatchObject({
        code: 'once_conflict',
        retryable: false,
      })
      const both = await Promise.allSettled([
        t.log.appendOnce([event(3)], { ...ONCE, key: 'l' }),
        t.log.appendOnce([event(4)], { ...ONCE, key: 'l', fingerprint: 'other' }),
        t.log.append([event(5)]),
      ])
      expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
      expect(dataOf(await readAll(t.log))).toEqual([1, 3, 5])
    })

    it('does not use up the key where it is refused', async () => {
      await using t = await opened()
      await expect(t.log.appendOnce([event(1n)], ONCE)).rejects.toThrow(TypeError)
      expect(await t.log.appendOnce([event(1)], ONCE)).toMatchObject({ replayed: false })
    })

    it('knows a key of its own log only', async () => {
      await using t = await opened()
      const other = await t.store.open('other', KEEP_ALL)
      await t.log.appendOnce([event(1)], ONCE)
      expect(await other.appendOnce([event(1)], { ...ONCE, fingerprint: 'other' })).toMatchObject({
        replayed: false,
      })
    })

    it('may have nothing to append', async () => {
      await using t = await opened()
      expect(await t.log.appendOnce([], ONCE)).toEqual({ replayed: false, entries: [] })
      expect(await t.log.appendOnce([], ONCE)).toEqual({ replayed: true, first: undefined })
      expect(t.log.head.n).toBe(0)
    })

    it('is refused once the log has ended', async () => {
      await using t = await opened()
      await t.log.close(event('end'))
      await expect(t.log.appendOnce([event(1)], ONCE)).rejects.toMatchObject({ code: 'log_closed' })
    })
  })
}
