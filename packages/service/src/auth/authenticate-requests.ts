import { ProblemError } from '@tributary/protocol'
import type { FastifyRequest } from 'fastify'
import type { App } from '../app.ts'
import type { Authenticator } from './authenticator.ts'
import { namingNobody, tokenOf } from './carriers/credentials.ts'
import type { Principal } from './principal.ts'

/** `required`: a 401 without a principal; `optional`: one without may come too; `none`: nobody is asked. */
export type AuthPolicy = 'required' | 'optional' | 'none'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Default: `required` under `/api/`, `none` elsewhere. */
    auth?: AuthPolicy
    /** Whether `?userId=` says here whom the request is about, not who sends it. Default false. */
    isAboutUser?: boolean
  }
  interface FastifyRequest {
    /** Null where the route's policy let the request in without one; `principalOf` is for where it cannot be. */
    principal: Principal | null
  }
}

/** The principal of a request on a route that requires one. @throws ProblemError `unauthorized` */
export function principalOf(request: Pick<FastifyRequest, 'principal'>): Principal {
  if (request.principal !== null) return request.principal
  throw new ProblemError('unauthorized', 'This needs a token.', { headers: { 'WWW-Authenticate': 'Bearer' } })
}

/**
 * What the streams and polls of a request end with: its principal. Nothing where that is the gateway, who asks its
 * worker for others and sees to their ends itself.
 */
export function credentialOf({ principal }: Pick<FastifyRequest, 'principal'>): Principal | undefined {
  return principal === null || principal.method === 'worker' ? undefined : principal
}

/** Gives requests their `principal`, and refuses those without where the route's `config.auth` requires one. */
export function authenticateRequests(app: App, authenticator: Authenticator): void {
  app.decorateRequest('principal', null)
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, auth: route.config?.auth ?? defaultPolicy(route.url) }
  })
  app.addHook('onRequest', async (request) => {
    const { auth, isAboutUser = false } = request.routeOptions.config
    if (auth === 'none' || request.is404) return
    request.principal = await authenticator
      .authenticate(isAboutUser ? namingNobody(request) : request)
      .catch((error: unknown) => {
        if (auth === 'optional' && tokenOf(request) === undefined) return null
        throw error
      })
  })
  // A body may follow its headers by a minute: who is revoked meanwhile does nothing more, nor takes that back.
  app.addHook('preHandler', async ({ principal }) => {
    if (principal !== null) authenticator.checkAgain(principal)
  })
}

function defaultPolicy(url: string): AuthPolicy {
  return url === '/api' || url.startsWith('/api/') ? 'required' : 'none'
}
