import { FakeClock } from '@tributary/testkit'
import { expect, it } from 'vitest'
import { memoryRateStore } from './memory-rate-store.ts'

const WINDOW_MS = 60_000

function storeUnderTest(maxKeys?: number) {
  const clock = new FakeClock()
  const Store = memoryRateStore({ clock, ...(maxKeys === undefined ? {} : { maxKeys }) })
  const store = new Store({})
  const count = (key: string) => {
    let said: { current: number; ttl: number } | undefined
    store.incr(
      key,
      (_error, result) => {
        said = result
      },
      WINDOW_MS,
      100,
    )
    return said
  }
  return { clock, count }
}

it('counts each key for itself, in a window that begins with its first request', () => {
  const { clock, count } = storeUnderTest()
  expect(count('ann')).toEqual({ current: 1, ttl: WINDOW_MS })
  clock.advance(20_000)
  expect(count('bob')).toEqual({ current: 1, ttl: WINDOW_MS })
  expect(count('ann')).toEqual({ current: 2, ttl: 40_000 })
  clock.advance(39_999)
  expect(count('ann')).toEqual({ current: 3, ttl: 1 })
  clock.advance(1)
  expect(count('ann')).toEqual({ current: 1, ttl: WINDOW_MS })
  expect(count('bob')).toEqual({ current: 2, ttl: 20_000 })
})

it('is not set back by a wall clock that is', () => {
  const { clock, count } = storeUnderTest()
  count('ann')
  clock.jumpTo(0)
  expect(count('ann')).toEqual({ current: 2, ttl: WINDOW_MS })
})

it('keeps so many keys, and forgets the one that was quiet for longest', () => {
  const { count } = storeUnderTest(1_000)
  count('ann')
  for (let user = 0; user < 999; user += 1) count(`hostile-${user}`)
  expect(count('ann')?.current).toBe(2)
  for (let user = 0; user < 999; user += 1) count(`hostile-${user}-again`)
  expect(count('hostile-0')?.current).toBe(1)
  expect(count('ann')?.current).toBe(1)
})
