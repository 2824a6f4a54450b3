import { describe, expect, it } from 'vitest'
import { PositionTrail } from './position-trail.ts'

describe('PositionTrail', () => {
  it('tells whether a position could stand in the log', () => {
    const trail = new PositionTrail()
    expect(trail.fits({ ms: 5, n: 5 })).toBe(true)
    for (let n = 1; n <= 3; n++) trail.add({ ms: n * 10, n })
    expect(trail.fits({ ms: 20, n: 2 })).toBe(true)
    expect(trail.fits({ ms: 15, n: 2 })).toBe(false)
    expect(trail.fits({ ms: 25, n: 2 })).toBe(false)
    expect(trail.fits({ ms: 99, n: 4 })).toBe(true)
    expect(trail.fits({ ms: 5, n: 4 })).toBe(false)
  })

  it('remembers of a long log what was of late, and still knows what came before that', () => {
    const trail = new PositionTrail()
    for (let n = 1; n <= 100_000; n++) trail.add({ ms: n * 10, n })
    expect(trail.fits({ ms: 999_000, n: 99_900 })).toBe(true)
    expect(trail.fits({ ms: 999_001, n: 99_900 })).toBe(false)
    expect(trail.fits({ ms: 11, n: 1 })).toBe(true)
    expect(trail.fits({ ms: 999_000, n: 1 })).toBe(false)
  })
})
