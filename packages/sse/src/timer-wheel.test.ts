import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { DEFAULT_TICK_MS, TimerWheel } from './timer-wheel.ts'

const TICK_MS = DEFAULT_TICK_MS

function wheel() {
  const clock = new FakeClock()
  const startMs = clock.now()
  const fired: [string, number][] = []
  const wheelOf = new TimerWheel(clock)
  const schedule = (name: string, delayMs: number) =>
    wheelOf.schedule(delayMs, () => fired.push([name, clock.now() - startMs]))
  return { clock, wheel: wheelOf, schedule, fired }
}

describe('TimerWheel', () => {
  it('calls back once, not before the delay and at most two ticks later', () => {
    for (const beforeMs of [0, 1, 49, 50, 51, 120]) {
      for (const delayMs of [0, 1, 49, 50, 51, 1_000, 1_234.5]) {
        const { clock, schedule, fired } = wheel()
        schedule('keeps it ticking', 10_000)
        clock.advance(beforeMs)
        schedule('a', delayMs)
        clock.advance(5_000)
        expect(fired).toHaveLength(1)
        const waitedMs = (fired[0]?.[1] ?? 0) - beforeMs
        expect(waitedMs).toBeGreaterThanOrEqual(delayMs)
        expect(waitedMs).toBeLessThanOrEqual(delayMs + 2 * TICK_MS)
      }
    }
  })

  it('has the time of its last tick, and the time itself while there are none', () => {
    const { clock, wheel: wheelOf, schedule } = wheel()
    clock.advance(10_000)
    expect(wheelOf.now).toBe(clock.now())
    schedule('a', 60_000)
    clock.advance(TICK_MS * 1.5)
    expect(clock.now() - wheelOf.now).toBeLessThan(TICK_MS)
    expect(wheelOf.now).toBeLessThan(clock.now())
  })

  it('makes up for ticks that come late', () => {
    const { clock, schedule, fired } = wheel()
    for (const delayMs of [100, 1_000, 5_000, 20_000]) schedule(`${delayMs}`, delayMs)
    clock.hold(6_000)
    expect(fired.map(([name]) => name)).toEqual(['100', '1000', '5000'])
    for (let held = 0; held < 15_000; held += 500) clock.hold(500)
    expect(fired.at(-1)).toEqual(['20000', 20_500])
  })

  it('calls back in the order of the times', () => {
    const { clock, schedule, fired } = wheel()
    for (const delayMs of [500, 100, 300, 100]) schedule(`${delayMs}`, delayMs)
    clock.advance(1_000)
    expect(fired.map(([name]) => name)).toEqual(['100', '100', '300', '500'])
  })

  it('sets one timer for all, and none while there is nothing to wait for', () => {
    const { clock, schedule } = wheel()
    expect(clock.timerCount).toBe(0)
    const cancels = Array.from({ length: 1_000 }, (_, i) => schedule('a', i * 10))
    expect(clock.timerCount).toBe(1)
    for (const cancel of cancels) cancel()
    expect(clock.timerCount).toBe(0)
    schedule('b', 10)
    expect(clock.timerCount).toBe(1)
    clock.advance(1_000)
    expect(clock.timerCount).toBe(0)
  })

  it('cancels, also twice and after the call', () => {
    const { clock, schedule, fired } = wheel()
    const cancel = schedule('a', 100)
    const late = schedule('b', 100)
    cancel()
    cancel()
    clock.advance(1_000)
    late()
    expect(fired.map(([name]) => name)).toEqual(['b'])
  })

  it('lets a callback cancel another that is due with it', () => {
    const { clock, wheel: shared, schedule, fired } = wheel()
    let cancel: () => void = () => undefined
    shared.schedule(100, () => cancel())
    cancel = schedule('cancelled', 100)
    schedule('kept', 100)
    clock.advance(1_000)
    expect(fired.map(([name]) => name)).toEqual(['kept'])
    expect(clock.timerCount).toBe(0)
  })

  it('lets a callback schedule itself again and again', () => {
    const { clock, wheel: shared } = wheel()
    let beats = 0
    let cancel: () => void = () => undefined
    const beat = () => {
      beats += 1
      cancel = shared.schedule(1_000, beat)
    }
    beat()
    clock.advance(10_500)
    expect(beats).toBe(11)
    expect(clock.timerCount).toBe(1)
    cancel()
    expect(clock.timerCount).toBe(0)
  })

  it('does not notice a clock that jumps', () => {
    const { clock, schedule, fired } = wheel()
    schedule('a', 1_000)
    clock.jumpTo(clock.now() + 86_400_000)
    clock.advance(900)
    expect(fired).toEqual([])
    clock.jumpTo(0)
    clock.advance(200)
    expect(fired).toHaveLength(1)
  })
})
