import type { FastifyRequest } from 'fastify'
import type { App } from '../../app.ts'
import type { Permission } from '../rights/authorize-requests.ts'
import type { OriginCheck } from './origin-check.ts'

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS']
/** What starts work, whatever its method. */
const STARTING: readonly (Permission | undefined)[] = ['run', 'relay']

/** Refuses requests with a session that a page of another origin made. To be added after `authenticateRequests`. */
export function refuseCrossSite(app: App, origins: OriginCheck): void {
  app.addHook('onRequest', async (request) => {
    if (request.principal?.method !== 'session') return
    origins.check(request.raw, doneBy(request))
  })
}

function doneBy({ method, routeOptions }: FastifyRequest): Parameters<OriginCheck['check']>[1] {
  const { permission } = routeOptions.config
  if (!SAFE_METHODS.includes(method) || STARTING.includes(permission)) return 'changes'
  return permission === 'connect' ? 'opens' : 'reads'
}
