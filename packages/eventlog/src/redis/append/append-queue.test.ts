import { RedisUnavailableError } from '@tributary/redis'
import { expect, test, vi } from 'vitest'
import { type AppendAnswer, AppendQueue } from './append-queue.ts'
import type { AppendRequest, Attempt } from './append-request.ts'

const AWAY = new RedisUnavailableError('away', { isUnsent: true })
const request = (againK?: number): AppendRequest => ({ drafts: [], againK })
const stored = (n: number): AppendAnswer => ({ kind: 'appended', first: { ms: 1, n }, attributesVersion: 0 })

/** A queue whose sends end as the test says, by their number. */
function queueOf({ isOrdered }: { isOrdered: boolean }) {
  const sent: Attempt[] = []
  const ends = new Map<number, PromiseWithResolvers<AppendAnswer>>()
  const never = (): never => {
    throw new Error('this is not called')
  }
  const queue = new AppendQueue({
    send(attempt) {
      sent.push(attempt)
      const end = Promise.withResolvers<AppendAnswer>()
      ends.set(attempt.k, end)
      return end.promise
    },
    entryOf: never,
    awaitsHandOn: () => false,
    onAnswered: () => undefined,
    onSeen: never,
    failure: (error, k) => [error, k],
    bridge: never,
    isDown: () => true,
    isBridging: () => false,
    isOrdered,
    after: () => () => undefined,
    elapsed: () => 0,
    retryMs: 1_000,
  })
  const failed: unknown[] = []
  const add = (againK?: number) =>
    queue.add(request(againK)).then(
      () => 'stored',
      ([, k]: [unknown, number | undefined]) => {
        failed.push(k)
        return 'failed'
      },
    )
  return { sent, ends, add, failed }
}

test('of one writer nothing is stored where what it asked for before could not be', async () => {
  const { sent, ends, add, failed } = queueOf({ isOrdered: true })
  const asked = [add(), add(), add()]
  // What it asks for before it knows that belongs behind them.
  const late = asked[0]?.then(() => add())
  ends.get(1)?.reject(AWAY)
  expect(await Promise.all([...asked, late])).toEqual(['failed', 'failed', 'failed', 'failed'])
  // The names of those that may have been done, in the order of their calls.
  expect(failed).toEqual([undefined, 2, 3, undefined])
  expect(sent.map(({ k, isGivenUp }) => [k, isGivenUp])).toEqual([
    [1, false],
    [2, true],
    [3, true],
  ])
  // What becomes of one that was on its way all the same is asked for by its name.
  ends.get(2)?.resolve(stored(1))
  await new Promise((resolve) => setImmediate(resolve))
  const again = add(1)
  await vi.waitFor(() => expect(sent).toHaveLength(4))
  ends.get(1)?.resolve(stored(1))
  expect(await again).toBe('stored')
})

test('of several writers each is stored or not for itself', async () => {
  const { ends, add } = queueOf({ isOrdered: false })
  const asked = [add(), add()]
  ends.get(1)?.reject(AWAY)
  ends.get(2)?.resolve(stored(1))
  expect(await Promise.all(asked)).toEqual(['failed', 'stored'])
})
