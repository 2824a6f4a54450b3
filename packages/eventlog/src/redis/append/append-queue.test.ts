import { RedisUnavailableError } from '@tributary/redis'
import { expect, test, vi } from 'vitest'
import { AppendQueue } from './append-queue.ts'
import type { AppendAnswer } from './append-queue-options.ts'
import type { AppendRequest } from './append-request.ts'

const AWAY = new RedisUnavailableError('away', { isUnsent: true })
const request = (againK?: number): AppendRequest => ({ drafts: [], againK })
const stored = (n: number): AppendAnswer => ({ kind: 'appended', first: { ms: 1, n }, attributesVersion: 0 })

/** A queue whose sends end as the test says, by their number. */
function queueOf({ isOrdered, isDown = true }: { isOrdered: boolean; isDown?: boolean }) {
  const sent: { readonly k: number; readonly isNext: () => boolean }[] = []
  const timers: (() => void)[] = []
  const ends = new Map<number, PromiseWithResolvers<AppendAnswer>>()
  const never = (): never => {
    throw new Error('this is not called')
  }
  const queue = new AppendQueue({
    send({ k }, isNext) {
      sent.push({ k, isNext })
      const end = Promise.withResolvers<AppendAnswer>()
      ends.set(k, end)
      return end.promise
    },
    entryOf: never,
    awaitsHandOn: () => false,
    onAnswered: () => undefined,
    onSeen: never,
    failure: (error, k) => [error, k],
    bridge: never,
    isDown: () => isDown,
    isBridging: () => false,
    isOrdered,
    after: (_ms, callback) => {
      timers.push(callback)
      return () => undefined
    },
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
  return { sent, ends, add, failed, timers }
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
  // Of those behind it none is sent any more.
  expect(sent.map(({ k, isNext }) => [k, isNext()])).toEqual([
    [1, true],
    [2, false],
    [3, false],
  ])
  // What becomes of one that was on its way all the same is asked for by its name.
  ends.get(2)?.resolve(stored(1))
  await new Promise((resolve) => setImmediate(resolve))
  const again = add(1)
  await vi.waitFor(() => expect(sent).toHaveLength(4))
  ends.get(1)?.resolve(stored(1))
  expect(await again).toBe('stored')
})

test('of one writer nothing is sent before what is tried again', async () => {
  const { sent, ends, add, timers } = queueOf({ isOrdered: true, isDown: false })
  const asked = [add(), add()]
  const waited = sent[1]
  expect(waited?.isNext()).toBe(true)
  ends.get(1)?.reject(AWAY)
  await vi.waitFor(() => expect(timers).toHaveLength(1))
  // It waits to be sent until the log has been compared; so long the first waits for its next attempt.
  expect(waited?.isNext()).toBe(false)
  ends.get(2)?.reject(AWAY)
  timers[0]?.()
  for (const k of [1, 2]) {
    await vi.waitFor(() => expect(sent.at(-1)?.k).toBe(k))
    expect(sent.at(-1)?.isNext()).toBe(true)
    ends.get(k)?.resolve(stored(k))
  }
  expect(await Promise.all(asked)).toEqual(['stored', 'stored'])
  expect(sent.map(({ k }) => k)).toEqual([1, 2, 1, 2])
})

test('of several writers each is stored or not for itself', async () => {
  const { ends, add } = queueOf({ isOrdered: false })
  const asked = [add(), add()]
  ends.get(1)?.reject(AWAY)
  ends.get(2)?.resolve(stored(1))
  expect(await Promise.all(asked)).toEqual(['failed', 'stored'])
})
