import { parseArgs } from 'node:util'
import { type RivalName, rivalsOf } from './rivals/rival.ts'

/** How often whom to compare. */
export interface ComparisonOptions {
  readonly rounds: number
  readonly rivals: readonly RivalName[]
}

/** Reads `[rounds] [--only names]`, of which each may be left out. */
export function comparisonOptions(
  args: readonly string[],
  defaults: { readonly rounds: number; readonly only: string },
): ComparisonOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { only: { type: 'string', default: defaults.only } },
  })
  return { rounds: Number(positionals[0] ?? defaults.rounds), rivals: rivalsOf(values.only) }
}
