import { describe, expect, it } from 'vitest'
import { heapVerdict } from './heap-verdict.ts'

const MINUTE_MS = 60_000

/** A heap of 100 that rises steeply at first, and then by so much a minute. */
function heapOf(minutes: number, warmUpMinutes: number, risePerMinute: number) {
  return Array.from({ length: minutes * 4 + 1 }, (_, quarter) => {
    const past = quarter / 4 - warmUpMinutes
    return { atMs: (quarter / 4) * MINUTE_MS, value: past < 0 ? 100 + 9 * past : 100 + past * risePerMinute }
  })
}

describe('the verdict on a heap', () => {
  it('heeds what comes after ten minutes of an hour', () => {
    const { fromMs, growth, limit } = heapVerdict(heapOf(60, 10, 0.3), 60 * MINUTE_MS)
    expect([fromMs, limit]).toEqual([10 * MINUTE_MS, 2])
    expect(growth).toBeCloseTo(3)
  })

  it('allows a short soak the same growth in all of the time that is judged', () => {
    const { fromMs, growth, limit } = heapVerdict(heapOf(6, 2, 0.3), 6 * MINUTE_MS)
    expect([fromMs, limit]).toEqual([2 * MINUTE_MS, 5])
    expect(growth).toBeCloseTo(3)
  })

  it('does not judge what is too short', () => {
    const seconds = Array.from({ length: 20 }, (_, second) => ({ atMs: second * 1_000, value: 100 + second }))
    expect(heapVerdict(seconds, 20_000)).toMatchObject({ growth: expect.any(Number), limit: undefined })
    expect(heapVerdict([], 20_000)).toMatchObject({ growth: undefined, limit: undefined })
  })
})
