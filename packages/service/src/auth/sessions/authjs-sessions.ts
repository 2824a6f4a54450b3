import { hkdfSync } from 'node:crypto'
import type { Clock } from '@tributary/protocol'
import { type CompactJWEHeaderParameters, type JWTPayload, jwtDecrypt } from 'jose'
import { Compile } from 'typebox/compile'
import type { Cookies } from '../carriers/credentials.ts'
import { isReservedUser, type Principal } from '../principal.ts'
import { principalOfClaims, problemOf, refusal } from '../tokens/jwt-verifier.ts'
import { TokenClaims } from '../tokens/token-claims.ts'
import type { SessionRequest, SessionVerifier } from './session-verifier.ts'

/** The cookies of Auth.js 5, of which each name is the salt of its key. */
const AUTHJS_COOKIES = ['__Secure-authjs.session-token', 'authjs.session-token']
/** The cookies of NextAuth 4, whose key has no salt. */
const NEXT_AUTH_COOKIES = ['__Secure-next-auth.session-token', 'next-auth.session-token']
/** Auth.js cuts what is longer than a cookie may be into `name.0`, `name.1` and so on. More than these are not looked at. */
const MAX_CHUNKS = 8
/** How far its clock may be off, as Auth.js itself has it. */
const LEEWAY_S = 15

/** Bytes of a key, by what a cookie says it is encrypted with. */
const KEY_BYTES: Readonly<Record<string, number>> = { 'A256CBC-HS512': 64, A256GCM: 32 }

const claimsCheck = Compile(TokenClaims)

export interface AuthJsSessionsOptions {
  /** The application's `AUTH_SECRET` or `NEXTAUTH_SECRET`. */
  readonly secret: string
  readonly clock: Clock
}

/**
 * The sessions of an application with Auth.js 5 or NextAuth 4, where they are in the cookie (its strategy `jwt`). The
 * user is the cookie's `sub`; `roles` or `role`, `groups` and `metadata` are taken from it where the application's
 * `jwt` callback puts them there.
 */
export class AuthJsSessions implements SessionVerifier {
  readonly #options: AuthJsSessionsOptions

  constructor(options: AuthJsSessionsOptions) {
    this.#options = options
  }

  async verify({ cookies }: SessionRequest): Promise<Principal | undefined> {
    for (const name of [...AUTHJS_COOKIES, ...NEXT_AUTH_COOKIES]) {
      const token = wholeOf(cookies, name)
      if (token !== '') return this.#read(token, name)
    }
    return undefined
  }

  async #read(token: string, name: string): Promise<Principal> {
    const { clock, secret } = this.#options
    try {
      const { payload } = await jwtDecrypt(token, (header) => keyFor(secret, name, header), {
        // The secret is the key itself; whatever else a cookie says of how it was encrypted is not believed.
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: Object.keys(KEY_BYTES),
        requiredClaims: ['sub', 'exp'],
        clockTolerance: LEEWAY_S,
        currentDate: new Date(clock.now()),
      })
      const claims = { ...payload, roles: rolesOf(payload) }
      if (!claimsCheck.Check(claims)) throw refusal('token_invalid', 'Its claims are not as they must be')
      if (isReservedUser(claims.sub)) throw refusal('token_invalid', 'Its user is of an anonymous stream')
      return { ...principalOfClaims(claims), method: 'session' }
    } catch (error) {
      throw problemOf(error)
    }
  }
}

/** A cookie's value, put together where it was cut; empty where there is none. */
function wholeOf(cookies: Cookies, name: string): string {
  const whole = cookies[name]
  if (whole !== undefined && whole !== '') return whole
  const chunks: string[] = []
  for (let chunk = cookies[`${name}.0`]; chunk && chunks.length < MAX_CHUNKS; ) {
    chunks.push(chunk)
    chunk = cookies[`${name}.${chunks.length}`]
  }
  return chunks.join('')
}

/** The key that an application derives from its secret (`@auth/core/jwt`, `next-auth/jwt`). */
function keyFor(secret: string, name: string, { enc }: CompactJWEHeaderParameters): Uint8Array {
  const isNextAuth = NEXT_AUTH_COOKIES.includes(name) && enc === 'A256GCM'
  const salt = isNextAuth ? '' : name
  const info = isNextAuth
    ? 'NextAuth.js Generated Encryption Key'
    : `Auth.js Generated Encryption Key (${name})`
  return new Uint8Array(hkdfSync('sha256', secret, salt, info, KEY_BYTES[enc] ?? 0))
}

function rolesOf({ roles, role }: JWTPayload): unknown {
  return roles ?? (typeof role === 'string' ? [role] : [])
}
