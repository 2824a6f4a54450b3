import { createHash } from 'node:crypto'
import { ConfigError } from '../../config/config-error.ts'
import { ANONYMOUS_PREFIX, isReservedUser } from '../principal.ts'

/** Whom a token stands for. */
export interface TokenOwner {
  readonly userId: string
  readonly roles: readonly string[]
  readonly metadata: Readonly<Record<string, unknown>>
}

/** The tokens of a configuration. They are kept and looked up by their digest, so that no timing tells of them. */
export class StaticTokens {
  readonly #owners = new Map<string, TokenOwner>()

  /** Answers false where the token is there already. */
  add(token: string, owner: TokenOwner): boolean {
    const key = digest(token)
    if (this.#owners.has(key)) return false
    this.#owners.set(key, owner)
    return true
  }

  ownerOf(token: string): TokenOwner | undefined {
    return this.#owners.get(digest(token))
  }

  get size(): number {
    return this.#owners.size
  }
}

/** The tokens outside production where `AUTH_STATIC_TOKENS` is not set. */
export const DEFAULT_STATIC_TOKENS = 'test-token=demo:admin;alice-token=alice;bob-token=bob'

const FORMAT = 'token=user[:role|role], with ; between entries'

/**
 * The static tokens of a service: none in production, where setting them is an error; elsewhere what
 * `AUTH_STATIC_TOKENS` holds, by default `DEFAULT_STATIC_TOKENS`.
 *
 * @throws ConfigError
 */
export function readStaticTokens(text: string | undefined, nodeEnv: string): StaticTokens {
  if (nodeEnv !== 'production') return parseStaticTokens(text ?? DEFAULT_STATIC_TOKENS)
  if (text === undefined) return new StaticTokens()
  throw new ConfigError([
    'AUTH_STATIC_TOKENS must not be set where NODE_ENV is production; use signed tokens there',
  ])
}

/**
 * Reads `token=user[:role|role];…`. A token may hold `=`, a user may not.
 *
 * @throws ConfigError that names each faulty entry by its place, never by its token.
 */
export function parseStaticTokens(text: string): StaticTokens {
  const tokens = new StaticTokens()
  const faults: string[] = []
  for (const [index, entry] of text.split(';').entries()) {
    if (entry.trim() === '') continue
    const fault = addEntry(tokens, entry.trim())
    if (fault !== undefined)
      faults.push(`AUTH_STATIC_TOKENS entry ${index + 1} ${fault}; the format is ${FORMAT}`)
  }
  if (faults.length > 0) throw new ConfigError(faults)
  return tokens
}

/** Adds an entry, or says what is wrong with it. */
function addEntry(tokens: StaticTokens, entry: string): string | undefined {
  const equals = entry.lastIndexOf('=')
  if (equals === -1) return 'has no "="'
  const token = entry.slice(0, equals).trim()
  const [user = '', roleList, ...rest] = entry.slice(equals + 1).split(':')
  const roles = roleList === undefined ? [] : roleList.split('|').map((role) => role.trim())
  if (token === '') return 'has no token before its "="'
  if (/\s/.test(token)) return 'has white space in its token'
  if (user.trim() === '') return 'names no user'
  if (isReservedUser(user.trim())) return `names a user that begins with ${ANONYMOUS_PREFIX}`
  if (rest.length > 0) return 'has more than one ":"; put | between roles'
  if (roles.includes('')) return 'names an empty role'
  return tokens.add(token, { userId: user.trim(), roles, metadata: {} }) ? undefined : 'repeats a token'
}

function digest(token: string): string {
  return createHash('sha256').update(token).digest('base64')
}
