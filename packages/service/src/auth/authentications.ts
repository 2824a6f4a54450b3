import { type Clock, ProblemError, systemClock } from '@tributary/protocol'
import Type from 'typebox'
import { type Env, readConfig } from '../config/config.ts'
import { ConfigError } from '../config/config-error.ts'
import { SECRET_VARIABLES, serviceConfig } from '../config/service-config.ts'
import { originsOf } from '../web/cross-origin.ts'
import { authConfig } from './auth-config.ts'
import type { Authenticator } from './authenticator.ts'
import { type AskedRequest, readRequest } from './carriers/asked-request.ts'
import { createAuth } from './create-auth.ts'
import type { AuthMethod, Principal } from './principal.ts'
import { principalOfUser, type SessionUser, type VerifySession } from './sessions/app-sessions.ts'
import { OriginCheck } from './sessions/origin-check.ts'
import type { SessionCookies } from './sessions/session-cookies.ts'

const { NODE_ENV, CORS_ORIGINS } = serviceConfig
const Variables = Type.Object({ ...authConfig, NODE_ENV, CORS_ORIGINS })

export interface AuthenticationOptions {
  /** The variables by which a gateway is told who may come in (`docs/configuration.md`), as `process.env` has them. */
  readonly env: Env
  /** How your application finds its own sessions. Default: it has none but those of `issueSessionCookie`. */
  readonly verifySession?: VerifySession
  /** Default: the machine's. */
  readonly clock?: Clock
}

/** Somebody whom a request comes from. */
export interface Authenticated extends Omit<Principal, 'method'> {
  readonly authenticated: true
  readonly method: Exclude<AuthMethod, 'anonymous'>
  /** The first of his roles; undefined where he has none. */
  readonly userRole: string | undefined
}

/** Nobody who is known, and why. */
export interface NotAuthenticated {
  readonly authenticated: false
  /** What to answer; its `code` is the reason, its `statusCode` 401, but for a page of another origin 403. */
  readonly error: ProblemError
  /** Of an anonymous stream, where the configuration lets it in. */
  readonly userId: string | undefined
  readonly method: 'anonymous' | undefined
  readonly userRole: undefined
}

export type Authentication = Authenticated | NotAuthenticated

/** Says who asks, for applications that have a hub in them: by the same rules and variables as a gateway. */
export class Authentications {
  readonly #authenticator: Authenticator
  readonly #origins: OriginCheck
  readonly #cookies: SessionCookies | undefined

  private constructor(
    authenticator: Authenticator,
    origins: OriginCheck,
    cookies: SessionCookies | undefined,
  ) {
    this.#authenticator = authenticator
    this.#origins = origins
    this.#cookies = cookies
  }

  /** @throws ConfigError that names each variable that is not as it must be. */
  static async open({
    env,
    verifySession,
    clock = systemClock,
  }: AuthenticationOptions): Promise<Authentications> {
    const config = readConfig(Variables, env, { secretNames: SECRET_VARIABLES })
    const { authenticator, sessionCookies } = await createAuth(config, { clock, verifySession })
    return new Authentications(authenticator, new OriginCheck(originsOf(config)), sessionCookies)
  }

  /**
   * Who a request comes from. One with a session that would change something, and was not sent by a page of your own
   * origin or of `CORS_ORIGINS`, comes from nobody.
   *
   * @param address whose request it is. Default: of its socket, which a web `Request` does not have.
   * @throws what `verifySession` throws.
   */
  async authenticate(request: AskedRequest, address?: string): Promise<Authentication> {
    const asked = readRequest(request, address)
    try {
      const principal = await this.#authenticator.authenticate(asked)
      if (principal.method === 'session')
        this.#origins.check(asked, isSafe(asked.method) ? 'reads' : 'changes')
      return authenticationOf(principal)
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error
      return { authenticated: false, error, userId: undefined, method: undefined, userRole: undefined }
    }
  }

  /**
   * The value of a `Set-Cookie` header that signs a user in, once you have found out who it is. No script can read the
   * cookie, no other site can send it but by a link, and in production it is sent over https alone.
   *
   * @throws ConfigError without a secret to sign it with; RangeError where the user has more than fits into a cookie.
   */
  async issueSessionCookie(user: SessionUser): Promise<string> {
    const { setCookie } = await this.#ownCookies().issue(principalOfUser(user))
    return setCookie
  }

  /** The value of a `Set-Cookie` header that signs a browser out. */
  clearSessionCookie(): string {
    return this.#ownCookies().clear()
  }

  #ownCookies(): SessionCookies {
    if (this.#cookies !== undefined) return this.#cookies
    throw new ConfigError(['AUTH_SESSION_SECRET must be set, for session cookies to be signed'])
  }
}

function authenticationOf({ method, ...principal }: Principal): Authentication {
  const { userId, roles } = principal
  if (method !== 'anonymous') return { authenticated: true, ...principal, method, userRole: roles[0] }
  const error = new ProblemError('unauthorized', 'This takes more than an anonymous stream; sign in.')
  return { authenticated: false, error, userId, method, userRole: undefined }
}

function isSafe(method: string): boolean {
  return ['GET', 'HEAD', 'OPTIONS'].includes(method.toUpperCase())
}
