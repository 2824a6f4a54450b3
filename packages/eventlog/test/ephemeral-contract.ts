import { describe, expect, it } from 'vitest'
import type { EphemeralEvent, OpenOptions, Telling } from '../src/index.ts'
import { type NewPlace, openedLog, readAll } from './log-fixture.ts'

/** What is told, to a group. */
export const telling = (data: unknown, group = 'a'): Telling => ({
  event: { type: 'said', data, source: 'test' },
  audience: { groups: [group] },
  timestamp: 7,
})
/** What came of it. */
export const toldData = (events: readonly EphemeralEvent[]) => events.map(({ json }) => JSON.parse(json))

/** What every adapter does with events that are in no log. */
export function ephemeralContract(name: string, newPlace: NewPlace): void {
  const opened = (options?: OpenOptions) => openedLog(newPlace, options)

  describe(`${name}: ephemeral events`, () => {
    it('are told whole to all listeners here by the time that the call has returned, and are in no log', async () => {
      await using t = await opened()
      const heard: EphemeralEvent[] = []
      const tailed: unknown[] = []
      t.log.tail((entry) => tailed.push(entry))
      t.log.onTold((event) => heard.push(event))
      t.log.onTold((event) => heard.push(event))
      const event = { type: 'said', data: { n: 1 }, source: 'me', priority: 'low', conflate: 'c' } as const
      const metadata = { userId: 'u' }
      const audience = { groups: ['a'], users: ['u'], where: { plan: 'pro' } }
      const telling = t.log.tell({ event: { ...event, metadata }, audience, timestamp: 42 })
      expect(heard).toHaveLength(2)
      const told = await telling
      expect(told.isEverywhere).toBe(true)
      expect(heard.every((one) => one === told.event)).toBe(true)
      expect(told.event).toEqual({
        type: 'said',
        json: '{"n":1}',
        source: 'me',
        priority: 'low',
        conflate: 'c',
        metadata,
        audience,
        topics: ['user:u', 'group:a'],
        timestamp: 42,
      })
      expect([t.log.head.n, tailed, await readAll(t.log)]).toEqual([0, [], []])
    })

    it('are not told any more to whose listening has ended, also twice and from within', async () => {
      await using t = await opened()
      const heard: unknown[] = []
      const end = t.log.onTold(({ json }) => heard.push(json))
      const once = t.log.onTold(({ json }) => {
        heard.push(`once ${json}`)
        once()
      })
      await t.log.tell(telling(1))
      end()
      end()
      await t.log.tell(telling(2))
      expect(heard).toEqual(['1', 'once 1'])
    })

    it('are refused where no frame can carry them, and once the log has ended', async () => {
      await using t = await opened()
      const heard: unknown[] = []
      t.log.onTold((event) => heard.push(event))
      const broken = { ...telling(1), event: { type: 'a\nb', data: 1, source: 'test' } }
      await expect(t.log.tell(broken)).rejects.toThrow('CR, LF')
      await expect(t.log.tell(telling(1n))).rejects.toThrow(TypeError)
      await t.log.close({ event: { type: 'end', data: 1, source: 'test' } })
      await expect(t.log.tell(telling(1))).rejects.toMatchObject({ code: 'log_closed' })
      expect(heard).toEqual([])
    })
  })
}
