import { ProblemError } from '@tributary/protocol'
import type { FastifyRequest } from 'fastify'
import type { App } from '../../app.ts'
import { principalOf } from '../authenticate-requests.ts'
import { ADMIN, type Principal } from '../principal.ts'
import { maySend, type PublishKind } from './publish-rights.ts'

/**
 * What a route asks of who is signed in: `connect`, `run` and `relay` everybody may, `own` what is his own, which the
 * route itself sees to; `publish:…` the role `publisher` or a claim to send to such, `publish` to anything at all, and
 * what is addressed in the end the route sees to again; all of it the role `admin`.
 */
export type Permission =
  | 'connect'
  | 'run'
  | 'relay'
  | 'own'
  | 'publish'
  | `publish:${'user' | 'group' | 'role' | 'all'}`
  | 'admin'

/** What each route that needs a principal asks of him, by method and address: `POST /api/sse`. */
export type RoutePermissions = Readonly<Record<string, Permission>>

declare module 'fastify' {
  interface FastifyContextConfig {
    /** For `authorizeRequests`. */
    permission?: Permission
  }
}

const EVERYBODYS: readonly Permission[] = ['connect', 'run', 'relay', 'own']
/** What those that let somebody send ask of him. */
const PUBLISHING: ReadonlyMap<Permission, PublishKind | undefined> = new Map([
  ['publish', undefined],
  ['publish:user', 'user'],
  ['publish:group', 'group'],
  ['publish:role', 'role'],
  ['publish:all', 'all'],
])

/**
 * Refuses requests whose principal may not do what they ask for.
 *
 * @throws Error as the routes are added, at one that needs a principal and is not in the table.
 */
export function authorizeRequests(app: App, permissions: RoutePermissions): void {
  app.addHook('onRoute', (route) => {
    if (route.config?.auth !== 'required') return
    for (const method of [route.method].flat()) {
      const key = `${method === 'HEAD' ? 'GET' : method} ${route.url}`
      const permission = permissions[key]
      if (permission === undefined) throw new Error(`No permission is named for ${key}`)
      route.config.permission = permission
    }
  })
  app.addHook('onRequest', async (request) => {
    const { permission } = request.routeOptions.config
    if (permission !== undefined) requirePermission(principalOf(request), permission)
  })
}

/** Lets on who has this role: for a part of what a route does. @throws ProblemError `forbidden`, `unauthorized` */
export function requireRole(request: Pick<FastifyRequest, 'principal'>, role: string): void {
  if (principalOf(request).roles.includes(role)) return
  throw new ProblemError('forbidden', `This needs the role ${JSON.stringify(role)}; use a token that has it.`)
}

function requirePermission(principal: Principal, permission: Permission): void {
  const { roles, method, signIn } = principal
  if (method === 'anonymous' && permission !== 'connect') {
    throw new ProblemError('forbidden', 'An anonymous stream may do no more than connect; send a token.')
  }
  if (EVERYBODYS.includes(permission)) return
  // It stands in addresses, which are logged and kept: what it would be worth to a finder is bounded.
  if (signIn !== undefined) {
    const detail = 'A stream token opens and reads streams, and no more; send the token that it was got with.'
    throw new ProblemError('forbidden', detail)
  }
  if (roles.includes(ADMIN)) return
  if (!PUBLISHING.has(permission)) {
    throw new ProblemError('forbidden', `This needs the role ${ADMIN}; use a token that has it.`)
  }
  const kind = PUBLISHING.get(permission)
  if (maySend(principal, kind)) return
  const claim = kind === undefined ? '' : ` for ${JSON.stringify(kind)}`
  throw new ProblemError(
    'forbidden',
    `This needs the role publisher or ${ADMIN}, or a claim "publish"${claim}; use a token that has it.`,
  )
}
