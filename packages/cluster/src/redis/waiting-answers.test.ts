import { FakeClock } from '@tributary/testkit'
import { expect, it } from 'vitest'
import { WaitingAnswers } from './waiting-answers.ts'

const answerOf = (nodeId: string, result: unknown) => ({ nodeId, ok: true, result }) as const

it('takes the first answer of each that was asked, and no other', async () => {
  const waiting = new WaitingAnswers(new FakeClock())
  const answers = await waiting.collect('1', ['a', 'b'], 100, async () => {
    waiting.answered('1', answerOf('a', 'first'))
    waiting.answered('1', answerOf('a', 'again'))
    waiting.answered('1', answerOf('stranger', 0))
    waiting.answered('2', answerOf('b', 'of another request'))
    waiting.answered('1', answerOf('b', 'done'))
  })
  expect(answers).toEqual([answerOf('a', 'first'), answerOf('b', 'done')])
  // Late, to nobody.
  waiting.answered('1', answerOf('b', 'late'))
})

it('says that who has not answered in time is unreachable', async () => {
  const clock = new FakeClock()
  const waiting = new WaitingAnswers(clock)
  const answers = waiting.collect('1', ['a', 'b'], 100, async () => waiting.answered('1', answerOf('b', 1)))
  clock.advance(100)
  expect(await answers).toEqual([
    answerOf('b', 1),
    expect.objectContaining({ nodeId: 'a', ok: false, reason: 'unreachable' }),
  ])
  expect(clock.timerCount).toBe(0)
})

it('says that all are unreachable where nothing could be sent', async () => {
  const waiting = new WaitingAnswers(new FakeClock())
  const answers = await waiting.collect('1', ['a'], 100, async () => {
    throw new Error('Redis is away')
  })
  expect(answers).toEqual([{ nodeId: 'a', ok: false, reason: 'unreachable', message: 'Redis is away' }])
})

it('bounds what waits', async () => {
  const clock = new FakeClock()
  const waiting = new WaitingAnswers(clock)
  const many = Array.from({ length: 1_000 }, (_, i) =>
    waiting.collect(String(i), ['a'], 100, async () => undefined),
  )
  const [one] = await waiting.collect('more', ['a'], 100, async () => undefined)
  expect(one).toMatchObject({ ok: false, reason: 'unreachable' })
  clock.advance(100)
  await Promise.all(many)
})
