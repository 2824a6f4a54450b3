import { describe, expect, it } from 'vitest'
import { CompensatedSum } from '../handlers/statistics/compensated-sum.ts'
import { randomNumbers } from '../handlers/statistics/random-numbers.ts'
import { SLICE, sortInSlices, sortingWork } from '../handlers/statistics/sort-in-slices.ts'
import { openHandlers } from './handler-bench.ts'

describe('Calculate Stats', () => {
  it('computes the statistics of the numbers that it is given', async () => {
    await using handlers = await openHandlers()
    const { result } = await handlers.run('Calculate Stats', { numbers: [9, 2, 4, 4, 5, 5, 7, 4] })
    expect(result).toMatchObject({
      count: 8,
      generated: null,
      sum: 40,
      mean: 5,
      variance: 4,
      stddev: 2,
      min: 2,
      max: 9,
      median: 4.5,
      percentiles: { p25: 4, p50: 4.5, p75: 5.5, p90: 7.6 },
    })
  })

  it('agrees with a naive computation on what it generates', async () => {
    const count = 300_000
    const next = randomNumbers(42)
    const numbers = Array.from({ length: count }, next)
    const mean = numbers.reduce((sum, value) => sum + value, 0) / count
    const variance = numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count
    const sorted = numbers.toSorted((a, b) => a - b)

    await using handlers = await openHandlers()
    const { result } = await handlers.run('Calculate Stats', { count, seed: 42 })
    const stats = result as Record<'mean' | 'variance' | 'min' | 'max' | 'median', number>
    expect(result).toMatchObject({ count, generated: { seed: 42 } })
    expect(stats.mean).toBeCloseTo(mean, 10)
    expect(stats.variance).toBeCloseTo(variance, 10)
    expect(stats.min).toBe(sorted[0])
    expect(stats.max).toBe(sorted.at(-1))
    expect(stats.median).toBe(((sorted[count / 2 - 1] ?? 0) + (sorted[count / 2] ?? 0)) / 2)
  })

  it('tells rising progress up to the end, a hundred times at most', async () => {
    await using handlers = await openHandlers()
    const { steps } = await handlers.run('Calculate Stats', { count: 1_000_000 })
    const percentages = steps.map(({ progress }) => progress)
    expect(percentages).toEqual([...new Set(percentages)].toSorted((a, b) => a - b))
    expect(percentages.length).toBeGreaterThan(20)
    expect(percentages.at(-1)).toBe(100)
  })

  it.each([
    [{ numbers: [] }, 'input/numbers'],
    [{ numbers: [1, 'two'] }, 'input/numbers/1'],
    [{ count: 5_000_001 }, 'input/count'],
    [{ numbers: [1, 2], count: 7 }, 'leave one of them out'],
    [{ numbers: [1e308, 1e308] }, 'too large to be summed'],
  ])('refuses %j', async (input, message) => {
    await using handlers = await openHandlers()
    await expect(handlers.run('Calculate Stats', input)).rejects.toThrow(message)
  })
})

describe('sortInSlices', () => {
  it.each([0, 1, SLICE, SLICE + 1, 3 * SLICE, 5 * SLICE + 17])('sorts %d numbers', (count) => {
    const numbers = Float64Array.from({ length: count }, randomNumbers(count))
    let work = 0
    const sorted = sortInSlices(numbers.slice(), (done) => {
      work += done
    })
    expect(sorted).toEqual(numbers.toSorted())
    expect(work).toBe(sortingWork(count))
  })
})

describe('CompensatedSum', () => {
  it('keeps what plain addition loses', () => {
    const sum = new CompensatedSum()
    for (const value of [1, 1e100, 1, -1e100]) sum.add(value)
    expect(sum.value).toBe(2)
  })
})
