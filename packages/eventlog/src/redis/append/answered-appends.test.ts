import { expect, test } from 'vitest'
import { storedDraft } from '../stored-entry.ts'
import { AnsweredAppends } from './answered-appends.ts'
import type { Attempt } from './append-request.ts'

const attempt = (k: number): Attempt => ({
  request: { drafts: [storedDraft({ event: { type: 'said', data: 1, source: 'test' } })] },
  k,
  again: false,
  sinceN: 0,
})

test('what is lost stands where it is stored again, also where another did that for its key', async () => {
  const answered = new AnsweredAppends()
  for (const k of [1, 2]) answered.add(attempt(k), { n: 10 + k, ms: 100 }, 0)
  answered.doubt()
  const found = { headN: 3, oldestN: 1, places: [undefined, undefined] }
  await answered.findLost(
    async () => found,
    [],
    () => undefined,
  )
  expect(answered.hasLost).toBe(true)
  const sent: (readonly [number, number | undefined])[] = []
  await answered.restore({
    send: async (item, behind) => {
      sent.push([item.k, behind?.k])
      return { n: 3 + item.k, ms: 200 }
    },
    isAway: () => false,
    onRefused: () => undefined,
  })
  expect(sent).toEqual([
    [1, undefined],
    [2, 1],
  ])
  expect(answered.hasLost).toBe(false)
  // Else it would be handed on as what has not been seen, when Redis is away again.
  expect(answered.unseen(5)).toEqual([])
  expect(answered.unseen(4).map(({ k, last }) => [k, last])).toEqual([[2, { n: 5, ms: 200 }]])
})
