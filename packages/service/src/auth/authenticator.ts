import { Name, ProblemError } from '@tributary/protocol'
import { Compile } from 'typebox/compile'
import type { AnonymousUsers } from './carriers/anonymous-users.ts'
import { type Credentials, cookiesOf, namedUserOf, tokenOf } from './carriers/credentials.ts'
import { loopbackRefusal } from './carriers/loopback.ts'
import { ADMIN, isReservedUser, type Principal } from './principal.ts'
import type { SessionVerifier } from './sessions/session-verifier.ts'
import type { JwtVerifier } from './tokens/jwt-verifier.ts'
import { ownAudienceOf } from './tokens/own-token.ts'
import type { Revocations } from './tokens/revocations.ts'
import type { StaticTokens } from './tokens/static-tokens.ts'

/** Says whom a token of one kind stands for. */
export interface TokenVerifier {
  /** @throws ProblemError as `JwtVerifier.verify` */
  verify(token: string): Promise<Principal>
  /** Whether it counts only in requests of this machine. Default false. */
  readonly localOnly?: boolean
}

export interface AuthenticatorOptions {
  /** Asked first, in this order. Default: no sessions count. */
  readonly sessions?: readonly SessionVerifier[]
  /** Where a token is looked up first. */
  readonly tokens: StaticTokens
  /** Verifies what is none of them. Default: there are no others. */
  readonly verifier?: JwtVerifier
  /** Verify what our services sign themselves, by what it is for. Default: none of that is taken. */
  readonly own?: ReadonlyMap<string, TokenVerifier>
  /** Lets in who names no more than a session. Default: nobody. */
  readonly anonymous?: AnonymousUsers
  /** Who, though what he shows is good, is refused. Default: nobody. */
  readonly revocations?: Revocations
  /** Whether a request from this machine that bears no token is `dev`, or whom it names: in development only. */
  readonly trustLoopback: boolean
}

const nameCheck = Compile(Name)
const LOOPBACK_PRINCIPAL: Principal = { userId: 'dev', roles: [ADMIN], method: 'loopback', metadata: {} }

/** Finds out who a request comes from. */
export class Authenticator {
  readonly #sessions: readonly SessionVerifier[]
  readonly #tokens: StaticTokens
  readonly #verifier: JwtVerifier | undefined
  readonly #own: ReadonlyMap<string, TokenVerifier>
  readonly #anonymous: AnonymousUsers | undefined
  readonly #revocations: Revocations | undefined
  readonly #trustLoopback: boolean

  constructor(options: AuthenticatorOptions) {
    const { sessions = [], tokens, verifier, own = new Map(), anonymous, revocations } = options
    this.#sessions = sessions
    this.#anonymous = anonymous
    this.#tokens = tokens
    this.#verifier = verifier
    this.#own = own
    this.#revocations = revocations
    this.#trustLoopback = options.trustLoopback
  }

  /**
   * The first carrier that is there decides: a session, `?token=`, `Authorization: Bearer`, `X-Auth-Token`; then, for a
   * request that is taken for one of this machine, `?userId=`, who has no role; then `?sessionId=`, where anonymous
   * streams are let in; then the admin `dev`, for a request of this machine again.
   *
   * A browser sends cookies along unasked. So a session that does not count is as none where the request itself says
   * who it is.
   *
   * @throws ProblemError `token_unknown`, or as `JwtVerifier.verify`, where a carrier holds nothing valid: nothing else
   * is tried then. `token_revoked` where it counts no more. `unauthorized` where there is none. `invalid_request` where `?userId=` or `?sessionId=` is no name.
   */
  async authenticate(request: Credentials): Promise<Principal> {
    const principal = await this.#principalOf(request)
    this.#revocations?.check(principal)
    return principal
  }

  /** Whom a token stands for that a request brings otherwise. @throws ProblemError as `authenticate`. */
  async verify(token: string, request: Credentials): Promise<Principal> {
    const principal = await this.#ownerOf(token, request)
    this.#revocations?.check(principal)
    return principal
  }

  /** Refuses who was revoked since he was let in. @throws ProblemError `token_revoked` */
  checkAgain(principal: Principal): void {
    this.#revocations?.check(principal)
  }

  async #principalOf(request: Credentials): Promise<Principal> {
    const token = tokenOf(request)
    const namesUser = this.#trustLoopback && namedUserOf(request) !== undefined
    const session = await this.#sessionOf(request, token !== undefined || namesUser)
    if (session !== undefined) return session
    if (token !== undefined) return this.#ownerOf(token, request)
    const refusal = this.#trustLoopback ? loopbackRefusal(request) : ''
    if (refusal === undefined && namesUser) return localUser(request)
    const anonymous = this.#anonymous?.principalOf(request)
    if (anonymous !== undefined) return anonymous
    if (refusal === undefined) return LOOPBACK_PRINCIPAL
    const because = refusal === '' ? '' : ` (${refusal})`
    throw new ProblemError(
      'unauthorized',
      `Send a token, as ?token=, Authorization: Bearer or X-Auth-Token${because}.`,
      { headers: { 'WWW-Authenticate': 'Bearer' } },
    )
  }

  /** @param saysWho whether the request itself says who it is, too. */
  async #sessionOf(request: Credentials, saysWho: boolean): Promise<Principal | undefined> {
    if (this.#sessions.length === 0) return undefined
    const { query, headers } = request
    const asked = { query, headers, cookies: cookiesOf(request) }
    let fault: ProblemError | undefined
    for (const sessions of this.#sessions) {
      try {
        const principal = await sessions.verify(asked)
        if (principal === undefined) continue
        this.#revocations?.check(principal)
        return principal
      } catch (error) {
        if (!(error instanceof ProblemError) || error.statusCode !== 401) throw error
        fault ??= error
      }
    }
    if (fault === undefined || saysWho) return undefined
    const detail = 'The session that came along does not count; sign in again, or send a token.'
    throw new ProblemError(fault.code, detail, { headers: fault.headers, cause: fault })
  }

  async #ownerOf(token: string, request: Credentials): Promise<Principal> {
    const owner = this.#tokens.ownerOf(token)
    if (owner !== undefined) return { ...owner, method: 'static' }
    const audience = ownAudienceOf(token)
    if (audience !== undefined) return this.#ownVerifier(audience, request).verify(token)
    if (this.#verifier !== undefined && token !== '') return this.#verifier.verify(token)
    throw new ProblemError('token_unknown', 'The token is not known; send another, or none of this kind.', {
      headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
    })
  }

  #ownVerifier(audience: string, request: Credentials): TokenVerifier {
    const verifier = this.#own.get(audience)
    const isLocal = () => this.#trustLoopback && loopbackRefusal(request, { bearer: true }) === undefined
    if (verifier !== undefined && (verifier.localOnly !== true || isLocal())) return verifier
    throw new ProblemError('token_wrong_audience', 'The token is for another purpose; send one for this.', {
      headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
    })
  }
}

/** Whom a request of this machine says it comes from: he has no role. */
function localUser(request: Credentials): Principal {
  const userId = namedUserOf(request)
  if (nameCheck.Check(userId) && !isReservedUser(userId)) return { ...LOOPBACK_PRINCIPAL, userId, roles: [] }
  const message = 'must be one name of 1 to 128 characters'
  throw new ProblemError('invalid_request', `"userId" ${message}.`, {
    errors: [{ path: 'query/userId', message }],
  })
}
