import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AgeCuts, lastUntil } from './age-cuts.ts'
import { MIGRATIONS } from './schema.ts'
import { Statements } from './statements.ts'

const LOG = 7

/** A log whose events are so far apart, in number and in time. */
function filled(steps: readonly (readonly [number, number])[]) {
  const db = new DatabaseSync(':memory:')
  for (const migration of MIGRATIONS) db.exec(migration)
  const sql = new Statements(db)
  const places: { readonly ms: number; readonly n: number }[] = []
  for (const [n, ms] of steps) {
    const before = places.at(-1) ?? { ms: 1_000, n: 0 }
    const place = { ms: before.ms + ms, n: before.n + n }
    sql.of('insertEvent').run(LOG, place.n, place.ms, 0, 't', 's', null, null, null, '1')
    places.push(place)
  }
  const until = (ms: number) => places.findLast((place) => place.ms <= ms)
  return { sql, places, until }
}

const steps = fc.array(
  fc.tuple(fc.integer({ min: 1, max: 50 }), fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 20 }))),
)

describe('AgeCuts', () => {
  it('finds the last event that is not later than a time, whatever was deleted between', () => {
    fc.assert(
      fc.property(steps, (script) => {
        const { sql, places, until } = filled(script)
        for (const ms of [999, 1_000, ...places.flatMap((place) => [place.ms - 1, place.ms, place.ms + 1])]) {
          expect(lastUntil(sql, LOG, ms)).toEqual(until(ms))
        }
      }),
      { numRuns: 50 },
    )
  })

  it('moves when it is trimmed, and never back', () => {
    const { sql } = filled([
      [1, 0],
      [1, 10],
      [5, 10],
    ])
    const cuts = new AgeCuts(sql, LOG, 1_000)
    expect([cuts.of(5), cuts.of(Number.POSITIVE_INFINITY)]).toEqual([undefined, undefined])
    cuts.trim(1_006)
    expect(cuts.of(5)).toEqual({ ms: 1_000, n: 1 })
    cuts.trim(1_016)
    expect([cuts.of(5), cuts.of(10)]).toEqual([
      { ms: 1_010, n: 2 },
      { ms: 1_000, n: 1 },
    ])
    cuts.trim(0)
    expect(cuts.of(5)).toEqual({ ms: 1_010, n: 2 })
    cuts.trim(9_999)
    expect(cuts.of(5)).toEqual({ ms: 1_020, n: 7 })
    expect([...cuts.ages]).toEqual([5, 10])
  })
})
