import type { FastifyRequest } from 'fastify'
import type { Permission } from '../auth/rights/authorize-requests.ts'

/** What is counted together: `connects` opens streams, `publishes` sends, `runs` starts work, `requests` is all else. */
export type RateClass = 'requests' | 'publishes' | 'connects' | 'runs'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Default: by the route's permission; `requests` where it has none, and `none` outside `/api/`. */
    rateClass?: RateClass | 'none'
  }
}

const CLASS_OF: Readonly<Record<Permission, RateClass>> = {
  connect: 'connects',
  run: 'runs',
  relay: 'runs',
  publish: 'publishes',
  'publish:user': 'publishes',
  'publish:group': 'publishes',
  'publish:role': 'publishes',
  'publish:all': 'publishes',
  own: 'requests',
  admin: 'requests',
}

/** What a request counts as; `undefined` where it is not limited. */
export function rateClassOf({ routeOptions }: Pick<FastifyRequest, 'routeOptions'>): RateClass | undefined {
  const { config, url = '' } = routeOptions
  const { rateClass, permission } = config
  if (rateClass !== undefined) return rateClass === 'none' ? undefined : rateClass
  if (permission !== undefined) return CLASS_OF[permission]
  return url.startsWith('/api/') ? 'requests' : undefined
}
