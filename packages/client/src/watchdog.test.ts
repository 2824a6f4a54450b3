import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { type HeartbeatInterval, Watchdog } from './watchdog.ts'

function fixture(heartbeatMs: HeartbeatInterval | undefined) {
  const clock = new FakeClock()
  const silences: number[] = []
  const watchdog = new Watchdog(clock, heartbeatMs)
  watchdog.start((limitMs) => silences.push(limitMs))
  const bytes = () => {
    watchdog.pause()
    watchdog.resume()
  }
  return { clock, silences, watchdog, bytes }
}

describe('Watchdog', () => {
  it('notices 2.5 intervals without a byte, once, and not a moment earlier', () => {
    const { clock, silences } = fixture(1_000)
    clock.advance(2_499)
    expect(silences).toEqual([])
    clock.advance(1)
    expect(silences).toEqual([2_500])
    clock.advance(10_000)
    expect([silences.length, clock.timerCount]).toEqual([1, 0])
  })

  it('counts from the last byte, with one timer however many come', () => {
    const { clock, silences, bytes } = fixture(1_000)
    for (let n = 0; n < 100; n += 1) {
      clock.advance(100)
      bytes()
      expect(clock.timerCount).toBe(1)
    }
    clock.advance(2_499)
    expect(silences).toEqual([])
    clock.advance(1)
    expect(silences).toEqual([2_500])
  })

  it('does not count the time that its reader takes', () => {
    const { clock, silences, watchdog } = fixture(1_000)
    watchdog.pause()
    clock.advance(60_000)
    watchdog.resume()
    clock.advance(2_499)
    expect(silences).toEqual([])
    clock.advance(1)
    expect(silences).toEqual([2_500])
  })

  it('survives a wall clock that is set back', () => {
    const { clock, silences } = fixture(1_000)
    clock.jumpTo(clock.now() - 3_600_000)
    clock.advance(5_000)
    expect(silences).toEqual([2_500])
  })

  it.each([undefined, 0, 'learn'] as const)('keeps no watch and no timer with %j', (heartbeatMs) => {
    const { clock, silences, watchdog, bytes } = fixture(heartbeatMs)
    watchdog.opened()
    bytes()
    expect(clock.timerCount).toBe(0)
    clock.advance(86_400_000)
    expect(silences).toEqual([])
  })

  it.each([
    [1_000, 75_000],
    [30_000, 75_000],
    [40_000, 100_000],
  ])('learns from heartbeats every %i ms to wait %i ms', (everyMs, limitMs) => {
    const { clock, silences, watchdog, bytes } = fixture('learn')
    clock.advance(10_000)
    watchdog.opened()
    for (let n = 0; n < 3; n += 1) {
      clock.advance(everyMs)
      bytes()
      watchdog.beat()
      expect(clock.timerCount).toBe(1)
    }
    clock.advance(limitMs - 1)
    expect(silences).toEqual([])
    clock.advance(1)
    expect(silences).toEqual([limitMs])
  })

  it('keeps what it has learnt for the next attempt', () => {
    const { clock, silences, watchdog } = fixture('learn')
    watchdog.opened()
    watchdog.beat()
    watchdog.stop()
    expect(clock.timerCount).toBe(0)
    watchdog.start((limitMs) => silences.push(limitMs))
    clock.advance(75_000)
    expect(silences).toEqual([75_000])
  })

  it('waits no longer than a timer can', () => {
    const { clock, silences } = fixture(1_000_000_000)
    clock.advance(2 ** 31)
    expect(silences).toEqual([2 ** 31 - 1])
  })

  it('says nothing once it is stopped', () => {
    const { clock, silences, watchdog } = fixture(1_000)
    watchdog.stop()
    watchdog.stop()
    clock.advance(10_000)
    expect([silences.length, clock.timerCount]).toEqual([0, 0])
  })
})
