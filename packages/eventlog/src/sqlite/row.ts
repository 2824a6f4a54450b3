import type { Position } from '@tributary/protocol'

/** A row as the engine answers it. What is in it is looked at before it is believed. */
export type Row = Readonly<Record<string, unknown>>

/** A row in which something is that no version of this program has written. */
export class DamagedRowError extends Error {
  override readonly name = 'DamagedRowError'
}

export function integerOf(row: Row, column: string): number {
  const value = row[column]
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw new DamagedRowError(`The database has no integer in ${column}, but a ${typeof value}`)
}

export function textOf(row: Row, column: string): string {
  const value = row[column]
  if (typeof value === 'string') return value
  throw new DamagedRowError(`The database has no text in ${column}, but a ${typeof value}`)
}

export function optionalTextOf(row: Row, column: string): string | undefined {
  return row[column] === null ? undefined : textOf(row, column)
}

/** What a column has as JSON, as `parse` takes it; nothing where it is null. */
export function parsedOf<T>(row: Row, column: string, parse: (text: string) => T): T | undefined {
  const text = optionalTextOf(row, column)
  if (text === undefined) return undefined
  try {
    return parse(text)
  } catch (cause) {
    throw new DamagedRowError(`The database has no JSON in ${column}`, { cause })
  }
}

/** The position in `<prefix>ms` and `<prefix>n`. */
export function positionOf(row: Row, prefix = ''): Position {
  return { ms: integerOf(row, `${prefix}ms`), n: integerOf(row, `${prefix}n`) }
}

/** The same of a row that need not be there. */
export function positionIn(row: Row | undefined): Position | undefined {
  return row === undefined ? undefined : positionOf(row)
}
