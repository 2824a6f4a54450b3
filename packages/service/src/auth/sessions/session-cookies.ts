import type { Clock } from '@tributary/protocol'
import { stringifySetCookie } from 'cookie'
import type { Principal } from '../principal.ts'
import { SESSION_AUDIENCE } from '../tokens/own-token.ts'
import { OwnTokenKind } from '../tokens/own-token-kind.ts'
import type { SessionRequest, SessionVerifier } from './session-verifier.ts'

/** Browsers keep no cookie of more than 4,096 bytes with its name and attributes (RFC 6265, 6.1). */
const MAX_COOKIE_BYTES = 4_096

export interface SessionCookiesOptions {
  readonly key: Uint8Array
  readonly name: string
  /** How long one counts at most. */
  readonly maxAgeMs: number
  /** Whether browsers send it over https alone. */
  readonly secure: boolean
  readonly clock: Clock
}

/** A cookie as its browser gets it. */
export interface SessionCookie {
  /** What `Set-Cookie` says. */
  readonly setCookie: string
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

/** Our own session cookies: a token that we signed, which no script reads and no other site can write with. */
export class SessionCookies implements SessionVerifier {
  readonly #options: SessionCookiesOptions
  readonly #kind: OwnTokenKind

  constructor(options: SessionCookiesOptions) {
    const { key, clock } = options
    this.#options = options
    this.#kind = new OwnTokenKind({ key, audience: SESSION_AUDIENCE, clock })
  }

  async verify({ cookies }: SessionRequest): Promise<Principal | undefined> {
    const token = cookies[this.#options.name]
    if (token === undefined || token === '') return undefined
    return { ...(await this.#kind.verify(token)), method: 'session' }
  }

  /**
   * Signs somebody in, with the rights that he has and no longer than these last.
   *
   * @throws RangeError where he has more than fits into a cookie.
   */
  async issue(principal: Principal): Promise<SessionCookie> {
    const { clock, maxAgeMs } = this.#options
    const now = clock.now()
    const end = Math.min(now + maxAgeMs, principal.expiresAt ?? Number.POSITIVE_INFINITY)
    const expiresAtS = Math.floor(end / 1_000)
    const token = await this.#kind.sign({
      ...claimsOf(principal),
      iat: Math.floor((principal.issuedAt ?? now) / 1_000),
      exp: expiresAtS,
    })
    const setCookie = this.#setCookie(token, new Date(expiresAtS * 1_000))
    if (setCookie.length > MAX_COOKIE_BYTES)
      throw new RangeError('The roles, groups and metadata of this user do not fit into a cookie; have fewer')
    return { setCookie, expiresAt: expiresAtS * 1_000 }
  }

  /** What `Set-Cookie` says to sign a browser out. */
  clear(): string {
    return this.#setCookie('', new Date(0))
  }

  #setCookie(value: string, expires: Date): string {
    const { name, secure } = this.#options
    return stringifySetCookie({ name, value, expires, path: '/', httpOnly: true, sameSite: 'lax', secure })
  }
}

/** What of a principal a cookie holds. What the token that he came with is revoked by, the cookie is revoked by too. */
function claimsOf({ userId, roles, groups, publish, metadata, tokenId, signIn }: Principal) {
  return {
    sub: userId,
    roles,
    metadata,
    jti: signIn?.tokenId ?? tokenId ?? globalThis.crypto.randomUUID(),
    ...(groups === undefined ? {} : { groups }),
    ...(publish === undefined ? {} : { publish }),
  }
}
