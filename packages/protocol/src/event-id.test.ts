import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  comparePositions,
  type EventIdParts,
  formatEventId,
  isBehind,
  isRunId,
  newRunId,
  PositionSequence,
  parseCursor,
  parseEventId,
} from './event-id.ts'

const whole = fc.integer({ min: 0, max: 9_999_999_999_999 })
const runId = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/)
const parts: fc.Arbitrary<EventIdParts> = fc
  .tuple(fc.option(runId, { nil: undefined }), whole, whole)
  .map(([run, ms, n]) => (run === undefined ? { ms, n } : { runId: run, ms, n }))

describe('event ids', () => {
  it('are read back as they were made', () => {
    fc.assert(
      fc.property(parts, (id) => {
        expect(parseEventId(formatEventId(id))).toEqual(id)
      }),
    )
  })

  it('take text apart or refuse it, and never throw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const id = parseEventId(text)
        if (id !== undefined) expect([id.ms, id.n].every(Number.isSafeInteger)).toBe(true)
      }),
    )
  })

  it.each([
    '',
    '-',
    '1',
    '1-',
    '-1',
    '1-2-3',
    ' 1-2',
    '1-2 ',
    '1-2\n',
    '.1-2',
    'a.b.1-2',
    'a b.1-2',
    '1.5-2.5',
    '0x1-2',
    '+1-2',
    '1e3-2',
    '99999999999999999-1',
    '9999999999999999-1',
    `${'r'.repeat(65)}.1-2`,
    '١-٢',
  ])('refuses %j', (text) => {
    expect(parseEventId(text)).toBeUndefined()
  })

  it('say whose they are', () => {
    expect(parseEventId('run_1-2.3-4')).toEqual({ runId: 'run_1-2', ms: 3, n: 4 })
    expect(parseEventId('5-6.3-4')).toEqual({ runId: '5-6', ms: 3, n: 4 })
    expect(parseEventId('3-4')).toEqual({ ms: 3, n: 4 })
  })

  it('compare by number, whatever the clock said', () => {
    expect(comparePositions({ ms: 9, n: 1 }, { ms: 1, n: 2 })).toBeLessThan(0)
    expect(comparePositions({ ms: 1, n: 10 }, { ms: 1, n: 9 })).toBeGreaterThan(0)
    expect(comparePositions({ ms: 1, n: 3 }, { ms: 1, n: 3 })).toBe(0)
  })

  it.each([
    ['a lower number', { ms: 5, n: 1 }],
    ['a lower number of a later time', { ms: 6, n: 1 }],
    ['the same number of an earlier time', { ms: 4, n: 2 }],
    ['a higher number of an earlier time', { ms: 4, n: 3 }],
  ])('are behind at %s', (_, place) => {
    expect(isBehind(place, { ms: 5, n: 2 })).toBe(true)
  })

  it.each([
    ['the same place', { ms: 5, n: 2 }],
    ['the same number of a later time', { ms: 6, n: 2 }],
    ['a higher number of the same time', { ms: 5, n: 3 }],
  ])('are not behind at %s', (_, place) => {
    expect(isBehind(place, { ms: 5, n: 2 })).toBe(false)
  })

  it('are rising and without holes when the clock stands still or jumps back', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -5, max: 5_000 }), { minLength: 1 }),
        fc.option(fc.record({ ms: whole, n: whole }), { nil: undefined }),
        (times, last) => {
          let turn = 0
          const sequence = new PositionSequence(() => times[turn] ?? 0, last)
          let before = last ?? { ms: 0, n: 0 }
          for (turn = 0; turn < times.length; turn++) {
            const next = sequence.next()
            expect(next.n).toBe(before.n + 1)
            expect(next.ms).toBeGreaterThanOrEqual(before.ms)
            expect(comparePositions(before, next)).toBeLessThan(0)
            before = next
          }
        },
      ),
    )
  })

  it('hold whole milliseconds where the clock is finer', () => {
    expect(new PositionSequence(() => 12.9).next()).toEqual({ ms: 12, n: 1 })
  })
})

describe('run ids', () => {
  it('are random, and good for an id, a path and a header', () => {
    const ids = new Set(Array.from({ length: 100 }, newRunId))
    expect(ids.size).toBe(100)
    for (const id of ids) {
      expect(isRunId(id)).toBe(true)
      expect(encodeURIComponent(id)).toBe(id)
    }
  })

  it.each(['', 'a.b', 'a/b', 'a b', 'a\n', 'ä', 'x'.repeat(65)])('are not %j', (text) => {
    expect(isRunId(text)).toBe(false)
  })
})

describe('cursors', () => {
  it('are any event id', () => {
    fc.assert(
      fc.property(parts, (id) => {
        expect(parseCursor(formatEventId(id))).toEqual({ kind: 'event', ...id })
      }),
    )
  })

  it('are milliseconds alone', () => {
    fc.assert(
      fc.property(whole, (ms) => {
        expect(parseCursor(`${ms}`)).toEqual({ kind: 'time', ms })
      }),
    )
  })

  it.each(['', 'abc', '-1', '1.5', '12345678901234567', '9999999999999999', ' 1', '1\r', 'NaN'])(
    'are not %j',
    (text) => expect(parseCursor(text)).toBeUndefined(),
  )
})
