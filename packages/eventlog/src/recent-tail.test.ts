import { describe, expect, it } from 'vitest'
import { logEntry } from './log-entry.ts'
import { RecentTail } from './recent-tail.ts'

const ZERO = { ms: 1, n: 0 }

describe('RecentTail', () => {
  it('remembers no topic whose entries it has all let go of', () => {
    const tail = new RecentTail({
      openedMs: 1,
      base: ZERO,
      head: ZERO,
      retention: () => ({ maxEvents: 2, maxAgeMs: 1_000 }),
      maxEvents: 100,
      maxBytes: 1_000_000,
    })
    for (let n = 1; n <= 10_000; n++) {
      const audience = { groups: [`${Math.floor(n / 5)}`] }
      tail.add(logEntry({ type: 't', data: n, source: 's' }, audience, { ms: n, n }, `${n}`), n)
      tail.trimTopic(`group:${Math.floor(n / 5)}`, { ms: n - 1, n: n - 1 })
      expect(tail.window.topicCount).toBeLessThanOrEqual(201)
    }
  })

  it('takes nothing for trimmed that is kept elsewhere, however large', () => {
    const tail = new RecentTail({
      openedMs: 1,
      base: ZERO,
      head: ZERO,
      retention: () => ({ maxEvents: 1_000, maxAgeMs: 1_000 }),
      maxEvents: 100,
      maxBytes: 1_000,
    })
    // Of three bytes a character, so that they are more in bytes than the tail reckons with.
    for (let n = 1; n <= 100; n++) {
      tail.add(
        logEntry({ type: 't', data: '\u6587'.repeat(400), source: 's' }, { all: true }, { ms: n, n }, `${n}`),
        n,
      )
      expect(tail.window.trimmedUpTo('all')).toBeUndefined()
    }
  })
})
