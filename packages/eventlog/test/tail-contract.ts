import { describe, expect, it } from 'vitest'
import type { LogEntry, OpenOptions } from '../src/index.ts'
import { dataOf, event, type NewPlace, openedLog, readAll } from './log-fixture.ts'

/** What every adapter tells those who listen. */
export function tailContract(name: string, newPlace: NewPlace): void {
  const opened = (options?: OpenOptions) => openedLog(newPlace, options)

  describe(`${name}: tail`, () => {
    it('tells each entry once, in order, before its append resolves', async () => {
      await using t = await opened()
      const heard: unknown[] = []
      await t.log.append([event('before')])
      t.log.tail((entry) => {
        expect(t.log.head.n).toBeGreaterThanOrEqual(entry.position.n)
        heard.push(entry.event.data)
      })
      await t.log.append([event(1), event(2)])
      expect(heard).toEqual([1, 2])
      await Promise.all([t.log.append([event(3)]), t.log.append([event(4), event(5)])])
      await t.log.close(event(6))
      expect(heard).toEqual([1, 2, 3, 4, 5, 6])
    })

    it('ends where its answer is called, which may be twice and from within', async () => {
      await using t = await opened()
      const heard: unknown[] = []
      const listener = (entry: LogEntry) => void heard.push(entry.event.data)
      const first = t.log.tail(listener)
      t.log.tail(listener)
      const once = t.log.tail((entry) => {
        heard.push(`once ${entry.event.data}`)
        once()
      })
      await t.log.append([event(1)])
      first()
      first()
      once()
      await t.log.append([event(2)])
      expect(heard).toEqual([1, 1, 'once 1', 2])
    })

    it('does not tell what was there when it began, also where it begins within another', async () => {
      await using t = await opened()
      const heard: unknown[] = []
      const end = t.log.tail(() => {
        end()
        t.log.tail((entry) => heard.push(entry.event.data))
      })
      await t.log.append([event(1), event(2)])
      await t.log.append([event(3)])
      expect(heard).toEqual([3])
    })

    it('keeps the order for everybody when a listener appends', async () => {
      await using t = await opened()
      const heard: [unknown[], unknown[]] = [[], []]
      let answered: Promise<unknown> | undefined
      t.log.tail((entry) => {
        heard[0].push(entry.event.data)
        answered ??= t.log.append([event('answer')])
      })
      t.log.tail((entry) => heard[1].push(entry.event.data))
      await t.log.append([event('one'), event('two')])
      await answered
      expect(heard).toEqual([
        ['one', 'two', 'answer'],
        ['one', 'two', 'answer'],
      ])
      expect(dataOf(await readAll(t.log))).toEqual(['one', 'two', 'answer'])
    })

    it('tells the others, and goes on, where a listener throws', async () => {
      await using t = await opened()
      const heard: unknown[] = []
      const end = t.log.tail(() => {
        throw new Error('of the listener')
      })
      t.log.tail((entry) => heard.push(entry.event.data))
      await expect(t.log.append([event(1), event(2)])).rejects.toThrow(AggregateError)
      end()
      await t.log.append([event(3)])
      expect(heard).toEqual([1, 2, 3])
    })
  })
}
