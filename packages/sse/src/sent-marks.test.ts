import { type LogEntry, StoredEvent } from '@tributary/eventlog'
import { parseCursor } from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import { SentMarks } from './sent-marks.ts'

const PLACE = { ms: 1, n: 1 }
const head = { id: '1-1', type: 'e', timestamp: 1, priority: 'normal', source: 's' } as const

function from(origin?: string, ...aliases: string[]): LogEntry {
  const entry = {
    position: PLACE,
    event: new StoredEvent(head, '1'),
    audience: undefined,
    topics: [],
    frames: undefined,
  }
  return origin === undefined ? entry : { ...entry, origin, aliases }
}

describe('SentMarks', () => {
  it('knows what its reader was sent, until that has been passed', () => {
    const marks = new SentMarks()
    expect([marks.isEmpty, marks.suffix, marks.has(from('a.1'))]).toEqual([true, '', false])
    marks.add(from('a.3'))
    marks.add(from('a.5'))
    expect(marks.suffix).toBe('~a.3~a.5')
    const origins = ['a.2', 'a.3', 'a.4', 'a.5', 'a.6', 'b.3', undefined]
    expect(origins.filter((origin) => marks.has(from(origin)))).toEqual(['a.3', 'a.4', 'a.5'])
    marks.pass(from('a.3'))
    marks.pass(from('b.9'))
    marks.pass(from())
    expect(marks.suffix).toBe('~a.3~a.5')
    marks.pass(from('a.5'))
    expect(marks.isEmpty).toBe(true)
  })

  it('goes with the cursor, of a few nodes, the latest of them', () => {
    const marks = new SentMarks(parseCursor('100-7~a.1~b_-2.3'))
    expect(marks.suffix).toBe('~a.1~b_-2.3')
    for (const node of ['c', 'd', 'e']) marks.add(from(`${node}.1`))
    expect(marks.suffix).toBe('~b_-2.3~c.1~c.1~d.1~d.1~e.1~e.1')
    const cursor = parseCursor(`100-7${marks.suffix}`)
    expect(cursor).toMatchObject({ ms: 100, n: 7 })
    expect(new SentMarks(cursor).suffix).toBe(marks.suffix)
  })

  it('knows of a node that is named once that all up to there was sent, and else from where on', () => {
    const once = new SentMarks(parseCursor('1-1~a.5'))
    const twice = new SentMarks(parseCursor('1-1~a.3~a.5'))
    const counts = [1, 2, 3, 4, 5, 6]
    const known = (marks: SentMarks) => counts.filter((count) => marks.has(from(`a.${count}`)))
    expect([known(once), known(twice)]).toEqual([
      [1, 2, 3, 4, 5],
      [3, 4, 5],
    ])
    once.add(from('a.6'))
    twice.add(from('a.6'))
    expect([once.suffix, twice.suffix]).toEqual(['~a.6', '~a.3~a.6'])
  })

  it('knows by its key what another node has stored, and still what came before it', () => {
    const marks = new SentMarks()
    marks.add(from('a.1'))
    marks.add(from('a.2', 'key.0'))
    expect(marks.suffix).toBe('~a.1~a.2~key.0')
    const stored = from('b.7', 'key.0', 'a.2')
    expect([marks.has(stored), new SentMarks(parseCursor('1-1~key.0')).has(stored)]).toEqual([true, true])
    marks.pass(stored)
    expect(marks.suffix).toBe('~a.1~a.2')
    expect([marks.has(from('a.1')), marks.has(from('b.8', 'key.0'))]).toEqual([true, false])
  })

  it('carries the latest keys, after the nodes', () => {
    const marks = new SentMarks()
    for (let i = 1; i <= 40; i++) marks.add(from(`a.${i}`, `k${i}.0`))
    const keys = Array.from({ length: 32 }, (_, i) => `k${i + 9}.0`)
    expect(marks.suffix).toBe(['', 'a.1', 'a.40', ...keys].join('~'))
    expect(new SentMarks(parseCursor(`1-1${marks.suffix}`)).suffix).toBe(marks.suffix)
  })

  it('takes no cursor for one that is none', () => {
    for (const text of [
      '100-7~',
      '100-7~a',
      '100-7~a.',
      '100-7~.1',
      '100-7~a.1~',
      '~a.1',
      '100~a.1',
      `1-1${'~a.1'.repeat(41)}`,
    ]) {
      expect([text, parseCursor(text)]).toEqual([text, undefined])
    }
  })
})
