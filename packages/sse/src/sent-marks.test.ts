import { type LogEntry, StoredEvent } from '@tributary/eventlog'
import { parseCursor } from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import { SentMarks } from './sent-marks.ts'

const PLACE = { ms: 1, n: 1 }
const head = { id: '1-1', type: 'e', timestamp: 1, priority: 'normal', source: 's' } as const

function from(origin?: string): LogEntry {
  const entry = {
    position: PLACE,
    event: new StoredEvent(head, '1'),
    audience: undefined,
    topics: [],
    frames: undefined,
  }
  return origin === undefined ? entry : { ...entry, origin }
}

describe('SentMarks', () => {
  it('knows what its reader was sent, until that has been passed', () => {
    const marks = new SentMarks()
    expect([marks.isEmpty, marks.suffix, marks.has(from('a.1'))]).toEqual([true, '', false])
    marks.add(from('a.3'))
    marks.add(from('a.5'))
    expect(marks.suffix).toBe('~a.5')
    expect(['a.3', 'a.5', 'a.6', 'b.3', undefined].map((origin) => marks.has(from(origin)))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ])
    marks.pass(from('a.3'))
    marks.pass(from('b.9'))
    marks.pass(from())
    expect(marks.suffix).toBe('~a.5')
    marks.pass(from('a.5'))
    expect(marks.isEmpty).toBe(true)
  })

  it('goes with the cursor, of a few nodes, the latest of them', () => {
    const marks = new SentMarks(parseCursor('100-7~a.1~b_-2.3'))
    expect(marks.suffix).toBe('~a.1~b_-2.3')
    for (const node of ['c', 'd', 'e']) marks.add(from(`${node}.1`))
    expect(marks.suffix).toBe('~b_-2.3~c.1~d.1~e.1')
    expect(parseCursor(`100-7${marks.suffix}`)).toMatchObject({
      ms: 100,
      n: 7,
      sent: ['b_-2.3', 'c.1', 'd.1', 'e.1'],
    })
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
      '1-1~a.1~b.1~c.1~d.1~e.1',
    ]) {
      expect([text, parseCursor(text)]).toEqual([text, undefined])
    }
  })
})
