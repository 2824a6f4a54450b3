import { ProblemError } from '@tributary/protocol'
import { ADMIN, type Principal } from '../principal.ts'

/**
 * Lets on who may join all of these groups: the admin, whose token names no groups, and whose token names them all.
 *
 * @throws ProblemError `forbidden`, which names the first that may not be joined.
 */
export function requireGroups(principal: Principal, groups: readonly string[]): void {
  const refused = groups.find((group) => !mayJoin(principal, group))
  if (refused === undefined) return
  const { groups: patterns = [] } = principal
  throw new ProblemError(
    'forbidden',
    `The token lets you join ${patterns.length === 0 ? 'no group' : patterns.join(', ')}, not ${JSON.stringify(refused)}.`,
  )
}

/** Whether he may be in a group. */
export function mayJoin({ roles, groups: patterns }: Principal, group: string): boolean {
  if (patterns === undefined || roles.includes(ADMIN)) return true
  return patterns.some((pattern) => matches(pattern, group))
}

/** A pattern is a name, or the beginning of names with a `*` behind. */
function matches(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern
}
