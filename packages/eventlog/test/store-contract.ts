import { describe, expect, it } from 'vitest'
import type { EventStore, OpenOptions } from '../src/index.ts'
import { dataOf, event, KEEP_ALL, type OpenStore, openedLog, readAll, resume } from './log-fixture.ts'

/** How every adapter keeps its logs apart. */
export function storeContract(name: string, openStore: OpenStore): void {
  const opened = (options?: OpenOptions) => openedLog(openStore, options)

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

    it('closes twice without harm, and sets no timer after that', async () => {
      const t = await opened()
      await t.store.close()
      await t.store.close()
      expect(t.clock.timerCount).toBe(0)
    })
  })
}

async function namesOf(store: EventStore): Promise<string[]> {
  return (await store.list()).map(({ name }) => name)
}
