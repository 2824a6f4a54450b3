import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { spread } from './spread.ts'

function spreading(count: number, overMs: number, limit?: AbortSignal) {
  const clock = new FakeClock()
  let made = 0
  let isOver = false
  const calls = Array.from({ length: count }, () => () => void made++)
  const over = spread(calls, { clock, overMs, limit }).then(() => {
    isOver = true
  })
  return { clock, over, made: () => made, isOver: () => isOver }
}

describe('spread', () => {
  it.each([0, 1, 15])('makes %d calls at once', async (count) => {
    const s = spreading(count, 30_000)
    expect([s.made(), s.clock.timerCount]).toEqual([count, 0])
    await s.over
  })

  it('makes three hundred a second, and no fewer', async () => {
    const s = spreading(300, 30_000)
    s.clock.advance(450)
    expect([s.made(), s.isOver()]).toEqual([150, false])
    s.clock.advance(500)
    await s.over
    expect([s.made(), s.clock.timerCount]).toEqual([300, 0])
  })

  it('makes very many evenly over the time there is', async () => {
    const s = spreading(100_000, 30_000)
    const counts: number[] = []
    for (let second = 0; second < 30; second++) {
      const before = s.made()
      s.clock.advance(1_000)
      counts.push(s.made() - before)
    }
    await s.over
    expect(s.made()).toBe(100_000)
    expect(Math.max(...counts)).toBeLessThan(3_400)
  })

  it('makes what is left at once when the limit is reached, and all where it was', async () => {
    const limit = new AbortController()
    const s = spreading(1_000, 30_000, limit.signal)
    expect(s.made()).toBe(15)
    limit.abort()
    await s.over
    expect([s.made(), s.clock.timerCount]).toEqual([1_000, 0])
    const late = spreading(1_000, 30_000, limit.signal)
    await late.over
    expect(late.made()).toBe(1_000)
  })

  it('makes all at once where there is no time', async () => {
    const s = spreading(1_000, 0)
    await s.over
    expect(s.made()).toBe(1_000)
  })
})
