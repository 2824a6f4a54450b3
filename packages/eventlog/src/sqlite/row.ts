import type { Position } from '@tributary/protocol'

/** A row as the engine answers it. What is in it is looked at before it is believed. */
export type Row = Readonly<Record<string, unknown>>

export function integerOf(row: Row, column: string): number {
  const value = row[column]
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw new TypeError(`The database has no integer in ${column}, but a ${typeof value}`)
}

export function textOf(row: Row, column: string): string {
  const value = row[column]
  if (typeof value === 'string') return value
  throw new TypeError(`The database has no text in ${column}, but a ${typeof value}`)
}

export function optionalTextOf(row: Row, column: string): string | undefined {
  return row[column] === null ? undefined : textOf(row, column)
}

/** The position in `<prefix>ms` and `<prefix>n`. */
export function positionOf(row: Row, prefix = ''): Position {
  return { ms: integerOf(row, `${prefix}ms`), n: integerOf(row, `${prefix}n`) }
}

/** The same of a row that need not be there. */
export function positionIn(row: Row | undefined): Position | undefined {
  return row === undefined ? undefined : positionOf(row)
}
