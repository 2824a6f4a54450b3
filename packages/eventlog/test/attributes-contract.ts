import { describe, expect, it } from 'vitest'
import { dataOf, event, KEEP_ALL, type NewPlace, openedLog, readAll } from './log-fixture.ts'

/** What every adapter keeps beside the events, and how it tells executors apart. */
export function attributesContract(name: string, newPlace: NewPlace): void {
  const opened = () => openedLog(newPlace, { ...KEEP_ALL, attributes: { state: 'new', owner: 'a' } })

  describe(`${name}: attributes`, () => {
    it('tells that they have changed, once they have, and nothing of appends that leave them', async () => {
      await using t = await opened()
      const heard: (string | undefined)[] = []
      const end = t.log.onAttributes(() => heard.push(t.log.attributes.get('state')))
      await t.log.append([event(1)], { attributes: { state: 'busy' } })
      await t.log.append([event(2)])
      await t.log.append([], { attributes: { state: null } })
      await t.log.close(event('end'), { attributes: { state: 'ended' } })
      expect(heard).toEqual(['busy', undefined, 'ended'])
      end()
      end()
    })

    it('are there from the beginning, and are not those of a later opening', async () => {
      await using t = await opened()
      const own = { state: 'new', owner: 'a' }
      expect(Object.fromEntries(t.log.attributes)).toEqual(own)
      const [summary] = await t.store.list()
      expect(Object.fromEntries(summary?.attributes ?? [])).toEqual(own)
      const again = await t.store.open('log', { ...KEEP_ALL, attributes: { state: 'other' } })
      expect(Object.fromEntries(again.attributes)).toEqual(own)
    })

    it('change with the append that changes them, before it is told', async () => {
      await using t = await opened()
      const heard: unknown[] = []
      t.log.tail((entry) => heard.push([entry.event.data, t.log.attributes.get('state')]))
      await t.log.append([event(1)])
      await t.log.append([event(2)], { attributes: { state: 'half', owner: null } })
      expect(heard).toEqual([
        [1, 'new'],
        [2, 'half'],
      ])
      expect(Object.fromEntries(t.log.attributes)).toEqual({ state: 'half' })
    })

    it('change without an event, too', async () => {
      await using t = await opened()
      expect(await t.log.append([], { attributes: { state: 'idle' } })).toEqual([])
      expect(t.log.attributes.get('state')).toBe('idle')
      expect(t.log.head.n).toBe(0)
    })

    it('stay as they are where the append is refused', async () => {
      await using t = await opened()
      const attributes = { state: 'never' }
      await expect(t.log.append([event(1n)], { attributes })).rejects.toThrow(TypeError)
      await t.log.close(event('end'), { attributes: { state: 'ended' } })
      await expect(t.log.append([], { attributes })).rejects.toMatchObject({ code: 'log_closed' })
      expect(t.log.attributes.get('state')).toBe('ended')
    })

    it('change in the order of the calls', async () => {
      await using t = await opened()
      await Promise.all([1, 2, 3].map((n) => t.log.append([event(n)], { attributes: { state: `${n}` } })))
      expect(t.log.attributes.get('state')).toBe('3')
    })
  })

  describe(`${name}: an executor`, () => {
    it('is refused once one with a higher epoch has appended', async () => {
      await using t = await opened()
      await t.log.append([event(1)], { epoch: 1 })
      await t.log.append([event(2)], { epoch: 1 })
      await t.log.append([event(3)], { epoch: 3, attributes: { owner: 'b' } })
      const stale = { code: 'stale_epoch', retryable: false }
      await expect(
        t.log.append([event('stale')], { epoch: 2, attributes: { owner: 'a' } }),
      ).rejects.toMatchObject(stale)
      await expect(t.log.close(event('stale'), { epoch: 2 })).rejects.toMatchObject(stale)
      expect(t.log.attributes.get('owner')).toBe('b')
      expect(t.log.closed).toBe(false)
      await t.log.append([event(4)])
      await t.log.close(event(5), { epoch: 3 })
      expect(dataOf(await readAll(t.log))).toEqual([1, 2, 3, 4, 5])
    })

    it('takes a log over without an event', async () => {
      await using t = await opened()
      await t.log.append([], { epoch: 2 })
      await expect(t.log.append([event('stale')], { epoch: 1 })).rejects.toMatchObject({
        code: 'stale_epoch',
      })
    })

    it('is refused among calls that overlap', async () => {
      await using t = await opened()
      const taken = await Promise.allSettled([
        t.log.append([event(1)], { epoch: 1 }),
        t.log.append([event(2)], { epoch: 2 }),
        t.log.append([event('stale')], { epoch: 1 }),
      ])
      expect(taken.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
      expect(dataOf(await readAll(t.log))).toEqual([1, 2])
    })
  })
}
