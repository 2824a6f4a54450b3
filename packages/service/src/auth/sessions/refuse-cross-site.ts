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
    const starts = request.method === 'GET' && STARTING.includes(request.routeOptions.config.permission)
    origins.check(request.raw, starts || !SAFE_METHODS.includes(request.method))
  })
}
