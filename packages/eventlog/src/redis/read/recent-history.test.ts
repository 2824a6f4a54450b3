import { expect, it } from 'vitest'
import { RecentHistory } from './recent-history.ts'

const history = () =>
  new RecentHistory(
    {
      openedMs: 1_000,
      retention: () => ({ maxEvents: 10, maxAgeMs: 10_000 }),
      maxEvents: 10,
      maxBytes: 10_000,
    },
    { ms: 1_000, n: 0 },
  )

it('leaves a cursor to the store that stands where the log was passed without an entry of its topics', () => {
  const recent = history()
  recent.pass({ ms: 1_100, n: 7 })
  expect(recent.locate({ kind: 'event', ms: 1_100, n: 7 }, 0, ['all'])).toBeUndefined()
})

it('answers one that stands at the beginning', () => {
  const beginning = { kind: 'event', ms: 1_000, n: 0 } as const
  expect(history().locate(beginning, 0, ['all'])).toEqual({ after: { ms: 1_000, n: 0 } })
})
