import type { Position } from '@tributary/protocol'
import { integerOf, optionalTextOf, positionIn, positionOf, type Row, textOf } from './row.ts'
import type { Statements } from './statements.ts'

/** What the database says of a log. */
export interface LogRecord {
  readonly id: number
  readonly name: string
  readonly runId: string | undefined
  /** The place before the first. */
  readonly zero: Position
  readonly head: Position
  readonly closed: boolean
  readonly epoch: number
  /** Up to where something is gone that may have been under any topic. */
  readonly lost: Position | undefined
  /** Up to where the log of a run was trimmed. */
  readonly trimmedUpTo: Position
}

export function logRecord(sql: Statements, row: Row): LogRecord {
  const id = integerOf(row, 'id')
  const stored = positionOf(row, 'head_')
  const newest = positionIn(sql.of('placeUpTo').get(id, Number.MAX_SAFE_INTEGER))
  const lost = positionOf(row, 'lost_')
  return {
    id,
    name: textOf(row, 'name'),
    runId: optionalTextOf(row, 'run_id'),
    zero: { ms: integerOf(row, 'opened_ms'), n: 0 },
    head: newest !== undefined && newest.n > stored.n ? newest : stored,
    closed: integerOf(row, 'closed') === 1,
    epoch: integerOf(row, 'epoch'),
    lost: lost.n === 0 ? undefined : lost,
    trimmedUpTo: positionOf(row, 'trimmed_'),
  }
}

export function attributesOf(sql: Statements, log: number): Map<string, string> {
  const rows: readonly Row[] = sql.of('attributes').all(log)
  return new Map(rows.map((row) => [textOf(row, 'name'), textOf(row, 'value')]))
}
