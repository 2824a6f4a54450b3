import type { Position } from '@tributary/protocol'
import { integerOf, positionIn, type Row } from './row.ts'
import type { Statements } from './statements.ts'

/**
 * Up to where a log's events are older than an age. Times rise with the numbers, so one place says it for all
 * topics that are kept so long; it moves when the log is trimmed, and only forwards.
 */
export class AgeCuts {
  readonly #sql: Statements
  readonly #log: number
  readonly #cuts = new Map<number, Position | undefined>()
  #trimmedAtMs: number

  constructor(sql: Statements, log: number, nowMs: number) {
    this.#sql = sql
    this.#log = log
    this.#trimmedAtMs = nowMs
  }

  /** The ages that were asked for. */
  get ages(): Iterable<number> {
    return this.#cuts.keys()
  }

  /** Begins to tell apart what is older than this, and answers up to where that is. */
  of(maxAgeMs: number): Position | undefined {
    if (maxAgeMs === Number.POSITIVE_INFINITY) return undefined
    if (!this.#cuts.has(maxAgeMs)) this.#cuts.set(maxAgeMs, this.#find(maxAgeMs, 0))
    return this.#cuts.get(maxAgeMs)
  }

  /** Moves the cuts to what is too old now. */
  trim(nowMs: number): void {
    this.#trimmedAtMs = Math.max(this.#trimmedAtMs, nowMs)
    for (const [maxAgeMs, cut] of this.#cuts) {
      this.#cuts.set(maxAgeMs, this.#find(maxAgeMs, cut?.n ?? 0) ?? cut)
    }
  }

  #find(maxAgeMs: number, afterN: number): Position | undefined {
    const beforeMs = this.#trimmedAtMs - maxAgeMs
    const next = this.#place('placeAfter', afterN)
    if (next === undefined || next.ms >= beforeMs) return undefined
    return lastEarlierThan(this.#sql, this.#log, beforeMs, next)
  }

  #place(which: 'placeAfter' | 'placeUpTo', n: number): Position | undefined {
    return positionIn(this.#sql.of(which).get(this.#log, n))
  }
}

/** The last event of a log that is earlier than a time; `from` is one that is. Found by halves. */
function lastEarlierThan(sql: Statements, log: number, ms: number, from: Position): Position {
  const newest: Row | undefined = sql.of('placeUpTo').get(log, Number.MAX_SAFE_INTEGER)
  let found = from
  let high = newest === undefined ? from.n : integerOf(newest, 'n')
  while (found.n < high) {
    const middle = found.n + Math.ceil((high - found.n) / 2)
    const place = positionIn(sql.of('placeUpTo').get(log, middle)) ?? found
    if (place.ms >= ms) high = place.n - 1
    else if (place.n > found.n) found = place
    else {
      // Nothing stands between what was found and the middle.
      const above = positionIn(sql.of('placeAfter').get(log, middle))
      if (above === undefined || above.ms >= ms) return found
      found = above
    }
  }
  return found
}

/** The last event of a log that is not later than a time. */
export function lastUntil(sql: Statements, log: number, ms: number): Position | undefined {
  const first = positionIn(sql.of('placeAfter').get(log, 0))
  if (first === undefined || first.ms > ms) return undefined
  return lastEarlierThan(sql, log, ms + 1, first)
}
