import { FakeClock } from '@tributary/testkit'
import { expect, test } from 'vitest'
import { ERROR_WINDOW_MS, ErrorRate } from './error-rate.ts'

function counted(clock = new FakeClock()) {
  const rate = new ErrorRate(clock)
  const count = (asked: number, failed: number) => {
    for (let i = 0; i < asked; i++) rate.count()
    for (let i = 0; i < failed; i++) rate.fail()
  }
  return { clock, rate, count }
}

test('is the part that failed of what was asked', () => {
  const { rate, count } = counted()
  expect(rate.value).toBe(0)
  count(8, 2)
  expect([rate.value, rate.failures]).toEqual([0.25, 2])
})

test('forgets what is older than the window, while the failures go on being counted', () => {
  const { clock, rate, count } = counted()
  count(1, 1)
  clock.advance(ERROR_WINDOW_MS / 2)
  count(3, 0)
  expect(rate.value).toBe(0.25)
  clock.advance(ERROR_WINDOW_MS / 2)
  expect([rate.value, rate.failures]).toEqual([0, 1])
})

test('is never more than all, though a stream fails long after it was opened', () => {
  const { rate, count } = counted()
  count(0, 3)
  expect(rate.value).toBe(1)
  count(1, 0)
  expect(rate.value).toBe(1)
})

test('keeps to the window where the clock jumps back', () => {
  const { clock, rate, count } = counted()
  count(1, 1)
  clock.jumpTo(clock.now() - 3_600_000)
  expect(rate.value).toBe(0)
  count(1, 0)
  expect(rate.value).toBe(0)
})
