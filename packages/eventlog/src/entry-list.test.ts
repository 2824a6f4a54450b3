import { describe, expect, it } from 'vitest'
import { EntryList } from './entry-list.ts'
import { logEntry } from './log-entry.ts'

const entryOf = (n: number) => logEntry({ type: 't', data: n, source: 's' }, undefined, { ms: n, n }, `${n}`)

describe('EntryList', () => {
  it('gives back the oldest first, however far it has come', () => {
    const list = new EntryList()
    const taken: (number | undefined)[] = []
    for (let n = 1; n <= 1_000; n++) {
      list.push(entryOf(n))
      if (n > 10) taken.push(list.shift()?.position.n)
    }
    expect(taken).toEqual(Array.from({ length: 990 }, (_, i) => i + 1))
    expect([list.size, list.at(0)?.position.n, list.at(9)?.position.n]).toEqual([10, 991, 1_000])
    expect(list.at(10)).toBeUndefined()
  })

  it('holds nothing of what was taken', () => {
    const list = new EntryList()
    for (let n = 1; n <= 1_000; n++) {
      list.push(entryOf(n))
      if (list.size > 10) list.shift()
      expect(list.heldCount).toBe(list.size)
    }
    while (list.shift() !== undefined);
    expect([list.size, list.heldCount]).toEqual([0, 0])
    list.push(entryOf(1_001))
    expect(list.at(0)?.position.n).toBe(1_001)
  })
})
