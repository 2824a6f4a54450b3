import { ProblemError } from '@tributary/protocol'
import type { Principal } from './principal.ts'

/**
 * Lets on who may join all of these groups: the admin, whose token names no groups, and whose token names them all.
 *
 * @throws ProblemError `forbidden`, which names the first that may not be joined.
 */
export function requireGroups({ roles, groups: patterns }: Principal, groups: readonly string[]): void {
  if (patterns === undefined || roles.includes('admin')) return
  const refused = groups.find((group) => !patterns.some((pattern) => matches(pattern, group)))
  if (refused === undefined) return
  throw new ProblemError(
    'forbidden',
    `The token lets you join ${patterns.length === 0 ? 'no group' : patterns.join(', ')}, not ${JSON.stringify(refused)}.`,
  )
}

/** A pattern is a name, or the beginning of names with a `*` behind. */
function matches(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern
}
