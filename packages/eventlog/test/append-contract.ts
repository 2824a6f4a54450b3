import { comparePositions, parseEventId } from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import type { LogEntry, OpenOptions } from '../src/index.ts'
import {
  DAY_MS,
  dataOf,
  event,
  KEEP_ALL,
  type NewPlace,
  numbersOf,
  openedLog,
  readAll,
} from './log-fixture.ts'

/** What every adapter does with what is appended, up to the end of a log. */
export function appendContract(name: string, newPlace: NewPlace): void {
  const opened = (options?: OpenOptions) => openedLog(newPlace, options)

  describe(`${name}: append`, () => {
    it('gives ids that rise without holes, also when the clock stands still or jumps back', async () => {
      await using t = await opened()
      const entries: LogEntry[] = []
      for (const jumpMs of [0, 0, 5_000, -DAY_MS, 0, -1, 1, DAY_MS]) {
        t.clock.jumpTo(t.clock.now() + jumpMs)
        entries.push(...(await t.log.append([event('a'), event('b')])))
      }
      expect(numbersOf(entries)).toEqual(entries.map((_, i) => i + 1))
      for (const [i, { position, event: told }] of entries.entries()) {
        expect(parseEventId(told.id)).toEqual(position)
        expect(t.log.idOf(position)).toBe(told.id)
        expect(told.timestamp).toBe(position.ms)
        const before = entries[i - 1]?.position ?? { ms: 0, n: 0 }
        expect(position.ms).toBeGreaterThanOrEqual(before.ms)
        expect(comparePositions(before, position)).toBeLessThan(0)
      }
      expect(t.log.head).toEqual(entries.at(-1)?.position)
    })

    it('puts the run before the id in the log of a run', async () => {
      await using t = await opened({ ...KEEP_ALL, runId: 'run_1' })
      const [entry] = await t.log.append([event('a')])
      expect(entry?.event.id).toBe(`run_1.${t.clock.now()}-1`)
    })

    it('completes an event with what it left out', async () => {
      await using t = await opened()
      const [plain, rich] = await t.log.append([
        { event: { type: 'a', data: undefined, source: 's' } },
        {
          event: {
            type: 'b',
            data: { x: [1] },
            source: 's',
            priority: 'high',
            metadata: { correlationId: 'c' },
          },
        },
      ])
      expect(plain?.event).toMatchObject({ type: 'a', data: null, priority: 'normal', version: '1' })
      expect(rich?.event).toMatchObject({
        data: { x: [1] },
        priority: 'high',
        metadata: { correlationId: 'c' },
      })
      expect(plain?.event.metadata).toBeUndefined()
    })

    it('takes no audience named by half of a surrogate pair, which would be another where it is stored', async () => {
      await using t = await opened()
      for (const half of ['\ud800', '\udc00', 'a\ud83d b', '\ud83d\ud83d\ude42']) {
        for (const topic of [`user:${half}`, `group:${half}`]) {
          const refused = { code: 'invalid_request', message: expect.stringContaining(JSON.stringify(topic)) }
          await expect(t.log.append([event(1, 'user:\ufffd', topic)])).rejects.toMatchObject(refused)
        }
      }
      await t.log.append([event(2, 'user:\ufffd', 'user:\ud83d\ude42')])
      expect(dataOf(await readAll(t.log, 0, { topics: ['user:\ufffd'] }))).toEqual([2])
    })

    it('keeps what was said, whatever becomes of the object it was said with', async () => {
      await using t = await opened()
      const said = { text: 'before' }
      await t.log.append([event(said)])
      said.text = 'after'
      expect(dataOf(await readAll(t.log))).toEqual([{ text: 'before' }])
    })

    it('loses nothing and keeps each batch together when many append at once', async () => {
      await using t = await opened()
      const batches = Array.from({ length: 200 }, (_, i) => [`${i}a`, `${i}b`, `${i}c`])
      const appended = await Promise.all(
        batches.map((batch) => t.log.append(batch.map((data) => event(data)))),
      )
      expect(appended.map(dataOf)).toEqual(batches)
      const entries = await readAll(t.log)
      expect(numbersOf(entries)).toEqual(entries.map((_, i) => i + 1))
      const kept = dataOf(entries)
      expect(kept).toHaveLength(600)
      for (const batch of batches) {
        const start = kept.indexOf(batch[0])
        expect(kept.slice(start, start + 3)).toEqual(batch)
      }
      for (const batch of appended) {
        const first = batch[0]?.position.n ?? 0
        expect(numbersOf(batch)).toEqual([first, first + 1, first + 2])
      }
    })

    it('takes one caller’s appends in the order of its calls', async () => {
      await using t = await opened()
      await Promise.all(Array.from({ length: 50 }, (_, i) => t.log.append([event(i)])))
      expect(dataOf(await readAll(t.log))).toEqual(Array.from({ length: 50 }, (_, i) => i))
    })

    it('appends all of a batch or nothing', async () => {
      await using t = await opened()
      await t.log.append([event('before')])
      const heard: unknown[] = []
      t.log.tail((entry) => heard.push(entry.event.data))
      await expect(t.log.append([event('one'), event(1n)])).rejects.toThrow(TypeError)
      const forged = { event: { type: 'a\ndata: forged', data: 1, source: 's' } }
      await expect(t.log.append([event('one'), forged])).rejects.toMatchObject({ code: 'invalid_frame' })
      const [next] = await t.log.append([event('next')])
      expect(next?.position.n).toBe(2)
      expect(heard).toEqual(['next'])
      expect(dataOf(await readAll(t.log))).toEqual(['before', 'next'])
    })

    it('takes an empty batch for nothing', async () => {
      await using t = await opened()
      expect(await t.log.append([])).toEqual([])
      expect(t.log.head.n).toBe(0)
    })
  })

  describe(`${name}: the end of a log`, () => {
    it('is its terminal event; whatever comes later is refused', async () => {
      await using t = await opened()
      const heard: unknown[] = []
      t.log.tail((entry) => heard.push([entry.event.data, t.log.closed]))
      await t.log.append([event('a')])
      expect(t.log.closed).toBe(false)
      const last = await t.log.close(event('end'))
      expect(last.position.n).toBe(2)
      expect(t.log.closed).toBe(true)
      await expect(t.log.append([event('late')])).rejects.toMatchObject({
        code: 'log_closed',
        retryable: false,
      })
      await expect(t.log.close(event('again'))).rejects.toMatchObject({ name: 'LogClosedError' })
      expect(dataOf(await readAll(t.log))).toEqual(['a', 'end'])
      expect(heard).toEqual([
        ['a', false],
        ['end', true],
      ])
    })

    it('comes once when many want it', async () => {
      await using t = await opened()
      const closed = await Promise.allSettled([1, 2, 3].map((data) => t.log.close(event(data))))
      expect(closed.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
      expect(t.log.head.n).toBe(1)
    })

    it('does not come with a terminal event that cannot be written', async () => {
      await using t = await opened()
      await expect(t.log.close(event(1n))).rejects.toThrow(TypeError)
      expect(t.log.closed).toBe(false)
      await t.log.close(event('end'))
    })
  })
}
