import { expect, it } from 'vitest'
import { ReadTurns } from './read-turns.ts'

it('ReadTurns answers each of many with what it has read, and fails none for another', async () => {
  const turns = new ReadTurns()
  const answers = await Promise.allSettled(
    Array.from({ length: 2_000 }, (_, i) =>
      turns.run(() => {
        if (i % 2 === 1) throw new Error(`${i}`)
        return i
      }),
    ),
  )
  expect(
    answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : answer.reason.message)),
  ).toEqual(Array.from({ length: 2_000 }, (_, i) => (i % 2 === 1 ? `${i}` : i)))
})
