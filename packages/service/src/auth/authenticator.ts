import { Name, ProblemError } from '@tributary/protocol'
import { Compile } from 'typebox/compile'
import { type Credentials, namedUserOf, tokenOf } from './credentials.ts'
import type { JwtVerifier } from './jwt-verifier.ts'
import { loopbackRefusal } from './loopback.ts'
import { isOwnToken } from './own-token.ts'
import type { Principal } from './principal.ts'
import type { StaticTokens } from './static-tokens.ts'
import type { StreamTokens } from './stream-tokens.ts'

export interface AuthenticatorOptions {
  /** Looked up first. */
  readonly tokens: StaticTokens
  /** Verifies what is none of them. Default: there are no others. */
  readonly verifier?: JwtVerifier
  /** Verifies those that we signed ourselves. Default: there are none. */
  readonly streamTokens?: StreamTokens
  /** Whether a request from this machine that bears no token is `dev`, or whom it names: in development only. */
  readonly trustLoopback: boolean
}

const nameCheck = Compile(Name)
const LOOPBACK_PRINCIPAL: Principal = { userId: 'dev', roles: ['admin'], method: 'loopback', metadata: {} }

/** Finds out who a request comes from. */
export class Authenticator {
  readonly #tokens: StaticTokens
  readonly #verifier: JwtVerifier | undefined
  readonly #streamTokens: StreamTokens | undefined
  readonly #trustLoopback: boolean

  constructor({ tokens, verifier, streamTokens, trustLoopback }: AuthenticatorOptions) {
    this.#tokens = tokens
    this.#verifier = verifier
    this.#streamTokens = streamTokens
    this.#trustLoopback = trustLoopback
  }

  /**
   * The first carrier that is there decides: `?token=`, `Authorization: Bearer`, `X-Auth-Token`. Without one, a
   * request that is taken for one of this machine is the user of `?userId=`, without a role, or the admin `dev`.
   *
   * @throws ProblemError `token_unknown`, or as `JwtVerifier.verify`, where it holds no valid token: nothing else is
   * tried then.
   * `unauthorized` where there is none, and the request is not taken for one of this machine. `invalid_request`
   * where `?userId=` is no name.
   */
  async authenticate(request: Credentials): Promise<Principal> {
    const token = tokenOf(request)
    if (token !== undefined) return this.#ownerOf(token)
    const refusal = this.#trustLoopback ? loopbackRefusal(request) : undefined
    if (this.#trustLoopback && refusal === undefined) return localPrincipal(request)
    const because = refusal === undefined ? '' : ` (${refusal})`
    throw new ProblemError(
      'unauthorized',
      `Send a token, as ?token=, Authorization: Bearer or X-Auth-Token${because}.`,
      { headers: { 'WWW-Authenticate': 'Bearer' } },
    )
  }

  async #ownerOf(token: string): Promise<Principal> {
    const owner = this.#tokens.ownerOf(token)
    if (owner !== undefined) return { ...owner, method: 'token' }
    if (this.#streamTokens !== undefined && isOwnToken(token)) return this.#streamTokens.verify(token)
    if (this.#verifier !== undefined && token !== '') return this.#verifier.verify(token)
    throw new ProblemError('token_unknown', 'The token is not known; send another, or none of this kind.', {
      headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
    })
  }
}

/** Whom a request of this machine comes from: it may say a user, who then has no role. */
function localPrincipal(request: Credentials): Principal {
  const userId = namedUserOf(request)
  if (userId === undefined) return LOOPBACK_PRINCIPAL
  if (nameCheck.Check(userId)) return { ...LOOPBACK_PRINCIPAL, userId, roles: [] }
  const message = 'must be one name of 1 to 128 characters'
  throw new ProblemError('invalid_request', `"userId" ${message}.`, {
    errors: [{ path: 'query/userId', message }],
  })
}
