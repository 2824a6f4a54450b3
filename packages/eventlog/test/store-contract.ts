import { describe, expect, it } from 'vitest'
import type { EventStore, ListOptions, OpenOptions } from '../src/index.ts'
import { dataOf, event, KEEP_ALL, type NewPlace, openedLog, readAll, resume } from './log-fixture.ts'

/** How every adapter keeps its logs apart. */
export function storeContract(name: string, newPlace: NewPlace): void {
  const opened = (options?: OpenOptions) => openedLog(newPlace, options)

  describe(`${name}: the store`, () => {
    it('answers the same log by the same name, and names them all', async () => {
      await using t = await opened()
      await t.log.append([event(1)])
      const again = await t.store.open('log', KEEP_ALL)
      const other = await t.store.open('other', KEEP_ALL)
      await again.append([event(2)])
      expect(dataOf(await readAll(t.log))).toEqual([1, 2])
      expect(await readAll(other)).toEqual([])
      expect(await namesOf(t.store)).toEqual(['log', 'other'])
    })

    it('opens nothing that must be there and is not, and makes none for it', async () => {
      await using t = await opened()
      const existing = { ...KEEP_ALL, mustExist: true }
      await expect(t.store.open('other', existing)).rejects.toThrow('There is no log other')
      expect(await t.store.find('other')).toBeUndefined()
      expect(await namesOf(t.store)).toEqual(['log'])
      // Who may make it does, also where another asks at the same time who may not.
      const both = await Promise.allSettled([
        t.store.open('other', existing),
        t.store.open('other', KEEP_ALL),
      ])
      expect(both.at(1)).toMatchObject({ status: 'fulfilled' })
      await t.log.append([event(1)])
      expect(dataOf(await readAll(await t.store.open('log', existing)))).toEqual([1])
    })

    it('forgets what is dropped, and begins anew under its name', async () => {
      await using t = await opened()
      const [entry] = await t.log.append([event(1)])
      await t.store.drop('log')
      await t.store.drop('log')
      await t.store.drop('never there')
      expect(await namesOf(t.store)).toEqual([])
      t.clock.advance(1)
      const anew = await t.store.open('log', KEEP_ALL)
      expect(await readAll(anew)).toEqual([])
      await anew.append([event('new')])
      expect(await resume(anew, entry?.event.id ?? '')).toMatchObject({ gap: 'log_lost', data: ['new'] })
    })

    it('lists logs by name, a page at a time, with what they hold', async () => {
      await using t = await opened()
      for (const name of ['run:b', 'run:a', 'run:c', 'runner', 'run', 'z']) {
        await t.store.open(name, { ...KEEP_ALL, attributes: { of: name } })
      }
      expect(await namesOf(t.store)).toEqual(['log', 'run', 'run:a', 'run:b', 'run:c', 'runner', 'z'])
      expect(await namesOf(t.store, { prefix: 'run:' })).toEqual(['run:a', 'run:b', 'run:c'])
      expect(await namesOf(t.store, { prefix: 'run:', limit: 2 })).toEqual(['run:a', 'run:b'])
      expect(await namesOf(t.store, { prefix: 'run:', after: 'run:b' })).toEqual(['run:c'])
      expect(await namesOf(t.store, { prefix: 'run:', after: 'run:c' })).toEqual([])
      expect(await namesOf(t.store, { after: 'run:c', limit: 1 })).toEqual(['runner'])
      const run = await t.store.open('run:b', KEEP_ALL)
      await run.append([event(1), event(2)], { attributes: { state: 'half' } })
      const last = await run.close(event(3))
      const [summary] = await t.store.list({ prefix: 'run:b' })
      expect(await t.store.find('run:b')).toEqual(summary)
      expect(await t.store.find('run:')).toBeUndefined()
      expect(summary).toEqual({
        name: 'run:b',
        head: last.position,
        closed: true,
        attributes: new Map([
          ['of', 'run:b'],
          ['state', 'half'],
        ]),
      })
    })

    it('opens a log once for many who open it at once', async () => {
      await using t = await opened()
      const logs = await Promise.all([1, 2, 3].map(() => t.store.open('many', KEEP_ALL)))
      for (const [i, log] of logs.entries()) await log.append([event(i)])
      expect(dataOf(await readAll(logs[0] ?? t.log))).toEqual([0, 1, 2])
    })

    it('forgets what waits to be appended to a log that is dropped', async () => {
      await using t = await opened()
      const appended = t.log.append([event('before')])
      const dropped = t.store.drop('log')
      const anew = t.store.open('log', KEEP_ALL)
      await appended
      await dropped
      expect(await readAll(await anew)).toEqual([])
    })

    it('says that all is well', async () => {
      await using t = await opened()
      await t.log.append([event(1)])
      expect(t.store.health).toEqual({ status: 'ok' })
    })

    it('closes twice without harm, and sets no timer after that', async () => {
      const t = await opened()
      await t.store.close()
      await t.store.close()
      expect(t.clock.timerCount).toBe(0)
    })
  })
}

async function namesOf(store: EventStore, options?: ListOptions): Promise<string[]> {
  return (await store.list(options)).map(({ name }) => name)
}
