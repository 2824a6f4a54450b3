import {
  type Audience,
  audienceTopics,
  connectionTopic,
  ProblemError,
  sessionTopic,
  userTopic,
} from '@tributary/protocol'
import { ADMIN, type Principal } from '../principal.ts'

/** What an event can be sent to. A target is `all`, or the kind and a name: `user:42`, `group:chat`. */
export type PublishKind = 'all' | 'user' | 'group' | 'role' | 'session' | 'connection'

const ANYTHING = '*'
/** Whose roles let him send to anything. */
const PUBLISHING_ROLES = [ADMIN, 'publisher']

type Publisher = Pick<Principal, 'roles' | 'publish'>

/** What a principal may send to: targets, or the beginnings of targets with a `*` behind. `*` alone is anything. */
function patternsOf({ roles, publish = [] }: Publisher): readonly string[] {
  return PUBLISHING_ROLES.some((role) => roles.includes(role)) ? [ANYTHING] : publish
}

/** Whether a principal may send to some target; of this kind, where it is named. What it is in the end is asked later. */
export function maySend(principal: Publisher, kind?: PublishKind): boolean {
  const patterns = patternsOf(principal)
  if (kind === undefined) return patterns.length > 0
  return patterns.some(
    (pattern) => pattern === ANYTHING || pattern === kind || pattern.startsWith(`${kind}:`),
  )
}

/**
 * Lets on who may send to all that an audience names. Of what narrows itself, as a session of a user, one part is enough.
 * `where` takes nothing away from what it narrows: who sends to some of all sends to all.
 *
 * @throws ProblemError `forbidden`, which names the first target that he may not send to.
 */
export function requireAudience(principal: Publisher, { only, ...listed }: Audience): void {
  const may = matcher(patternsOf(principal))
  const refused = audienceTopics(listed).find((target) => !may(target)) ?? refusedOf(only, may)
  if (refused === undefined) return
  const patterns = patternsOf(principal)
  throw new ProblemError(
    'forbidden',
    `You may send to ${patterns.length === 0 ? 'nobody' : listOf(patterns)}, not to ${JSON.stringify(refused)}.`,
  )
}

function refusedOf(only: Audience['only'], may: (target: string) => boolean): string | undefined {
  if (only === undefined) return undefined
  const { user, session, connections } = only
  const parts = [
    ...(user === undefined ? [] : [[userTopic(user)]]),
    ...(session === undefined ? [] : [[sessionTopic(session)]]),
    ...(connections === undefined ? [] : [connections.map(connectionTopic)]),
  ]
  if (parts.some((targets) => targets.every(may))) return undefined
  return parts.flat().find((target) => !may(target))
}

/** An audience names up to ten thousand: those that are no patterns are looked up. */
function matcher(patterns: readonly string[]): (target: string) => boolean {
  const whole = new Set(patterns.filter((pattern) => !pattern.endsWith('*')))
  const beginnings = patterns
    .filter((pattern) => pattern.endsWith('*'))
    .map((pattern) => pattern.slice(0, -1))
  return (target) => whole.has(target) || beginnings.some((beginning) => target.startsWith(beginning))
}

const SHOWN = 10

function listOf(patterns: readonly string[]): string {
  const more = patterns.length - SHOWN
  return patterns.slice(0, SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
