import { describe, expect, it } from 'vitest'
import { topicFits } from './cursor-location.ts'
import { logEntry } from './log-entry.ts'
import { TopicIndex } from './topic-index.ts'

function filled(count: number, maxEvents: number, maxAgeMs = Number.POSITIVE_INFINITY): TopicIndex {
  const index = new TopicIndex('group:a', { maxEvents, maxAgeMs })
  for (let n = 1; n <= count; n++) {
    const position = { ms: n * 10, n: n * 2 }
    index.add(logEntry({ type: 't', data: n, source: 's' }, undefined, position, `${n}`), position.ms)
  }
  return index
}

describe('TopicIndex', () => {
  it('keeps the newest by count, and knows the newest that went', () => {
    const index = filled(1_000, 3)
    expect([0, 1, 2].map((i) => index.at(i).position.n)).toEqual([1_996, 1_998, 2_000])
    expect(index.trimmedUpTo).toEqual({ ms: 9_970, n: 1_994 })
    expect(() => index.at(3)).toThrow(RangeError)
  })

  it('keeps what is not older than its age, to the millisecond', () => {
    const index = filled(5, 100, 20)
    expect([index.size, index.trimmedUpTo?.n]).toEqual([3, 4])
    index.trim(50)
    expect(index.size).toBe(3)
    index.trim(51)
    expect(index.size).toBe(2)
    index.trim(1_000)
    expect([index.size, index.trimmedUpTo?.n]).toEqual([0, 10])
  })

  it('keeps nothing where nothing is to be kept', () => {
    expect(filled(2, 0)).toMatchObject({ size: 0, trimmedUpTo: { n: 4 } })
  })

  it('finds the place after a number and after a time, between entries and beyond both ends', () => {
    const index = filled(5, 4)
    expect([0, 3, 4, 5, 6, 9, 10, 99].map((n) => index.indexAfter(n))).toEqual([0, 0, 1, 1, 2, 3, 4, 4])
    expect([0, 19, 20, 25, 50, 99].map((ms) => index.indexLaterThan(ms))).toEqual([0, 0, 1, 1, 4, 4])
    expect(filled(0, 4).indexAfter(0)).toBe(0)
  })

  it('knows whether a position could stand beside its entries', () => {
    const index = filled(5, 4)
    expect(topicFits(index, { ms: 20, n: 4 })).toBe(true)
    expect(topicFits(index, { ms: 21, n: 4 })).toBe(false)
    expect(topicFits(index, { ms: 25, n: 5 })).toBe(true)
    expect(topicFits(index, { ms: 19, n: 5 })).toBe(false)
    expect(topicFits(index, { ms: 31, n: 5 })).toBe(false)
    expect(topicFits(index, { ms: 99, n: 99 })).toBe(true)
    expect(topicFits(index, { ms: 1, n: 1 })).toBe(true)
  })
})
