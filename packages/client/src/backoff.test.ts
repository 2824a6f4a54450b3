import { describe, expect, it } from 'vitest'
import { Backoff } from './backoff.ts'

const waits = (backoff: Backoff, count: number, askedMs?: number) =>
  Array.from({ length: count }, () => backoff.nextMs(askedMs))

describe('Backoff', () => {
  it('doubles its ceiling with each attempt up to the maximum', () => {
    expect(waits(new Backoff({ random: () => 1 }), 7)).toEqual([
      1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000,
    ])
  })

  it('spreads over all of it, but for a pause that is always made', () => {
    const at = (share: number) => waits(new Backoff({ random: () => share }), 2)
    expect(at(0)).toEqual([100, 100])
    expect(at(0.5)).toEqual([550, 1_050])
  })

  it('never grows beyond the maximum, however long it goes on', () => {
    const backoff = new Backoff({ retryMs: 1, maxRetryMs: 2 ** 20, random: () => 1 })
    expect(waits(backoff, 5_000).at(-1)).toBe(2 ** 16)
    expect(waits(new Backoff({ random: () => 1 }), 5_000).at(-1)).toBe(30_000)
  })

  it('begins anew with what the server asks for, within its bounds', () => {
    const backoff = new Backoff({ random: () => 1 })
    waits(backoff, 3)
    backoff.ask(5_000)
    expect(backoff.nextMs()).toBe(30_000)
    backoff.reset()
    expect(waits(backoff, 2)).toEqual([5_000, 10_000])
    backoff.reset()
    backoff.ask(0)
    expect(backoff.nextMs()).toBe(100)
    backoff.reset()
    backoff.ask(86_400_000)
    expect(backoff.nextMs()).toBe(30_000)
  })

  it('adds the jitter to what a refusal asks for, up to five minutes or the maximum that is given', () => {
    expect(new Backoff({ random: () => 0.5 }).nextMs(60_000)).toBe(60_550)
    expect(new Backoff({}).nextMs(Number.POSITIVE_INFINITY)).toBe(300_000)
    expect(new Backoff({ maxRetryMs: 5_000 }).nextMs(60_000)).toBe(5_000)
  })
})
