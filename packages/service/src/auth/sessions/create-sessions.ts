import type { Clock } from '@tributary/protocol'
import { AppSessions, type VerifySession } from './app-sessions.ts'
import { AuthJsSessions } from './authjs-sessions.ts'
import { SessionCookies } from './session-cookies.ts'
import type { SessionVerifier } from './session-verifier.ts'

/** What a configuration says of sessions. */
export interface SessionsConfig {
  readonly NODE_ENV: string
  readonly AUTH_SESSION_COOKIE: string
  readonly AUTH_SESSION_MAX_AGE_S: number
  readonly AUTH_AUTHJS_SECRET?: string
}

/** Our own session cookies, as a configuration asks for; none without a key to sign them with. */
export function createSessionCookies(
  { NODE_ENV, AUTH_SESSION_COOKIE: name, AUTH_SESSION_MAX_AGE_S }: SessionsConfig,
  { key, clock }: { readonly key: Uint8Array | undefined; readonly clock: Clock },
): SessionCookies | undefined {
  if (key === undefined) return undefined
  const maxAgeMs = AUTH_SESSION_MAX_AGE_S * 1_000
  return new SessionCookies({ key, name, maxAgeMs, secure: NODE_ENV === 'production', clock })
}

export interface CreateSessionsOptions {
  readonly clock: Clock
  /** Default: none. */
  readonly sessionCookies?: SessionCookies | undefined
  /** How the application finds sessions of its own. Default: it has none. */
  readonly verifySession?: VerifySession | undefined
}

/** Every kind of session that a configuration lets in, in the order in which they are asked. */
export function createSessions(
  { AUTH_AUTHJS_SECRET: secret }: Pick<SessionsConfig, 'AUTH_AUTHJS_SECRET'>,
  { clock, sessionCookies, verifySession }: CreateSessionsOptions,
): SessionVerifier[] {
  return [
    ...(sessionCookies === undefined ? [] : [sessionCookies]),
    ...(secret === undefined ? [] : [new AuthJsSessions({ secret, clock })]),
    ...(verifySession === undefined ? [] : [new AppSessions(verifySession)]),
  ]
}
