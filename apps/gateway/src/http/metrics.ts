import { GatewayMetrics, ResetAnswer } from '@tributary/protocol'
import type { App } from '@tributary/service'
import type { Deps } from '../deps.ts'
import { GatewayHealth } from '../gateway-health.ts'

const tags = ['health']

/** What the gateway has counted, as JSON. Prometheus reads it from `/metrics`. */
export function addMetrics(app: App, deps: Deps): void {
  const { hub, hubMetrics, metrics, config } = deps
  const health = new GatewayHealth(deps)
  app.get(
    '/api/sse/metrics',
    {
      config: { watching: true },
      logLevel: 'warn',
      schema: { tags, summary: 'What the gateway has counted', response: { 200: GatewayMetrics } },
    },
    async (_request, reply) => {
      reply.header('cache-control', 'no-store')
      return health.metrics()
    },
  )
  if (config.NODE_ENV === 'production') return
  app.post(
    '/api/sse/reset',
    {
      schema: {
        tags: ['connections'],
        summary: 'Close all connections and count anew. In development only.',
        response: { 200: ResetAnswer },
      },
    },
    async () => {
      hub.reset()
      metrics.reset()
      hubMetrics.reset()
      return { success: true as const, metrics: health.metrics() }
    },
  )
}
