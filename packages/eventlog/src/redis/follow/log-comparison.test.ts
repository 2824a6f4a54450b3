import { expect, it } from 'vitest'
import { scriptedHost } from '../../../test/scripted-host.ts'
import { HandedOn } from './handed-on.ts'
import { LogComparison } from './log-comparison.ts'

it('passes nothing that the server which is read has not, as another may have said how far the log goes', async () => {
  const { host, state, subscriptions, moved } = scriptedHost(
    { n: 1, ms: 1 },
    { compare: async () => ['ok', 3, 5, '0', 0, 0, '', 3] },
  )
  const comparison = new LogComparison(host, subscriptions, new HandedOn(subscriptions, state.head))
  expect(await comparison.run()).toBe(false)
  expect(moved).toEqual([])
})

it('passes nothing of a page that another server may have answered than was compared', async () => {
  let cuts = 0
  const { host, state, subscriptions, moved } = scriptedHost(
    { n: 1, ms: 1 },
    {
      compare: async () => ['ok', 3, 5, '0', 0, 0, '', 3],
      readPage: async () => {
        cuts += 1
        return { entries: [], hasMore: false, headN: 3 }
      },
      cuts: () => cuts,
    },
  )
  const comparison = new LogComparison(host, subscriptions, new HandedOn(subscriptions, state.head))
  expect([await comparison.run(), comparison.isCurrent]).toEqual([false, false])
  expect(moved).toEqual([])
})
