import { Name, ProblemError } from '@tributary/protocol'
import type { FastifyRequest } from 'fastify'
import { Compile } from 'typebox/compile'
import type { App } from './app.ts'
import { type Credentials, namedUserOf, tokenOf } from './credentials.ts'
import { loopbackRefusal } from './loopback.ts'
import type { StaticTokens } from './static-tokens.ts'

/** Who a request comes from. */
export interface Principal {
  readonly userId: string
  readonly roles: readonly string[]
  /** How we know: by a token, or because it is development and the request is from this machine. */
  readonly method: 'token' | 'loopback'
  /** What the token says besides. */
  readonly metadata: Readonly<Record<string, unknown>>
}

/** `required`: a 401 without a principal; `optional`: one without may come too; `none`: nobody is asked. */
export type AuthPolicy = 'required' | 'optional' | 'none'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Default: `required` under `/api/`, `none` elsewhere. */
    auth?: AuthPolicy
  }
  interface FastifyRequest {
    /** Null where the route's policy let the request in without one; `principalOf` is for where it cannot be. */
    principal: Principal | null
  }
}

export interface AuthenticatorOptions {
  readonly tokens: StaticTokens
  /** Whether a request from this machine that bears no token is `dev`, or whom it names: in development only. */
  readonly trustLoopback: boolean
}

const nameCheck = Compile(Name)
const LOOPBACK_PRINCIPAL: Principal = { userId: 'dev', roles: ['admin'], method: 'loopback', metadata: {} }

/** Finds out who a request comes from. */
export class Authenticator {
  readonly #tokens: StaticTokens
  readonly #trustLoopback: boolean

  constructor({ tokens, trustLoopback }: AuthenticatorOptions) {
    this.#tokens = tokens
    this.#trustLoopback = trustLoopback
  }

  /**
   * The first carrier that is there decides: `?token=`, `Authorization: Bearer`, `X-Auth-Token`. Without one, a
   * request that is taken for one of this machine is the user of `?userId=`, without a role, or the admin `dev`.
   *
   * @throws ProblemError `token_unknown` where it holds no valid token: nothing else is tried then.
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

  #ownerOf(token: string): Principal {
    const owner = this.#tokens.ownerOf(token)
    if (owner !== undefined) return { ...owner, method: 'token' }
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

/** The principal of a request on a route that requires one. @throws ProblemError `unauthorized` */
export function principalOf(request: Pick<FastifyRequest, 'principal'>): Principal {
  if (request.principal !== null) return request.principal
  throw new ProblemError('unauthorized', 'This needs a token.', { headers: { 'WWW-Authenticate': 'Bearer' } })
}

/** Lets on who has this role. @throws ProblemError `forbidden`, `unauthorized` */
export function requireRole(request: Pick<FastifyRequest, 'principal'>, role: string): void {
  if (principalOf(request).roles.includes(role)) return
  throw new ProblemError('forbidden', `This needs the role ${JSON.stringify(role)}; use a token that has it.`)
}

/** Gives requests their `principal`, and refuses those without where the route's `config.auth` requires one. */
export function authenticateRequests(app: App, authenticator: Authenticator): void {
  app.decorateRequest('principal', null)
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, auth: route.config?.auth ?? defaultPolicy(route.url) }
  })
  app.addHook('onRequest', async (request) => {
    const { auth } = request.routeOptions.config
    if (auth === 'none' || request.is404) return
    request.principal = await authenticator.authenticate(request).catch((error: unknown) => {
      if (auth === 'optional' && tokenOf(request) === undefined) return null
      throw error
    })
  })
}

function defaultPolicy(url: string): AuthPolicy {
  return url === '/api' || url.startsWith('/api/') ? 'required' : 'none'
}
