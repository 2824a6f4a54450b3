import {
  GatewayHealth as GatewayHealthAnswer,
  GatewayHealthQuery,
  HealthAction,
  HealthActionAnswer,
  ProblemError,
} from '@tributary/protocol'
import { type App, type NodeOperations, requireRole } from '@tributary/service'
import type { Deps } from '../deps.ts'
import { GatewayHealth } from '../gateway-health.ts'

const tags = ['health']

/** How the gateway is, part by part, and what an admin may have done about its connections. */
export function addHealth(app: App, deps: Deps, nodes: NodeOperations): void {
  const { hub } = deps
  const health = new GatewayHealth(deps, nodes)
  app.get(
    '/api/sse/health',
    {
      config: { rateClass: 'requests', watching: true, whileDraining: 'serve' },
      logLevel: 'warn',
      schema: {
        tags,
        summary: 'How the gateway is, part by part',
        description:
          '`failing`: no event flows. `degraded`: something else is wrong. `?details=true` is for admins.',
        querystring: GatewayHealthQuery,
        response: { 200: GatewayHealthAnswer },
      },
    },
    async (request, reply) => {
      const { details = false } = request.query
      if (details) requireRole(request, 'admin')
      reply.header('cache-control', 'no-store')
      return health.read(details)
    },
  )
  app.post(
    '/api/sse/health',
    {
      schema: {
        tags,
        summary: 'Send all connections a heartbeat, close one, or look whether all fits. For admins.',
        body: HealthAction,
        response: { 200: HealthActionAnswer },
      },
    },
    async ({ body }) => {
      if (body.action === 'health_check') {
        const { connections, sent, unreachable } = await hub.sendHealthCheck()
        const silent = unreachable.length === 0 ? {} : { unreachable: [...unreachable] }
        return { success: true as const, action: body.action, connections, sent, ...silent }
      }
      if (body.action === 'consistency_check') {
        return { success: true as const, action: body.action, report: await deps.consistency.run() }
      }
      const { action, connectionId, reason } = body
      if ((await hub.close(connectionId, reason)).closed === 0) {
        const detail = `There is no connection ${JSON.stringify(connectionId)}; it may have ended.`
        throw new ProblemError('connection_not_found', detail)
      }
      return { success: true as const, action, connectionId }
    },
  )
}
