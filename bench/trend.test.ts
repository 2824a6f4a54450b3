import { describe, expect, it } from 'vitest'
import { growthPercent, type Point, trendOf } from './trend.ts'

const points = (...values: number[]): Point[] =>
  values.map((value, index) => ({ atMs: 1_000 + index * 10, value }))

describe('the trend of some points', () => {
  it('is the line that they lie on', () => {
    const { slope, start } = trendOf(points(5, 7, 9, 11))
    expect(slope).toBeCloseTo(0.2)
    expect(start).toBeCloseTo(5)
  })

  it('is the line of least squares where they lie on none', () => {
    const { slope, start } = trendOf(points(0, 3, 0, 3))
    expect(slope).toBeCloseTo(0.06)
    expect(start).toBeCloseTo(0.6)
  })

  it('is flat where they swing about a level', () => {
    expect(trendOf(points(4, 6, 6, 4)).slope).toBeCloseTo(0)
  })

  it('heeds when they were measured, not how many there are', () => {
    const uneven = [0, 1, 2, 100].map((atMs) => ({ atMs, value: 10 + atMs }))
    expect(trendOf(uneven).slope).toBeCloseTo(1)
  })

  it('needs two moments', () => {
    expect(() => trendOf([])).toThrow(RangeError)
    expect(() => trendOf(points(1))).toThrow(RangeError)
  })
})

describe('the growth in percent', () => {
  it('is that of the trend within the time, of where it began', () => {
    expect(growthPercent(points(100, 101, 102, 103), 100)).toBeCloseTo(10)
    expect(growthPercent(points(103, 102, 101, 100), 10)).toBeCloseTo(-100 / 103)
  })
})
