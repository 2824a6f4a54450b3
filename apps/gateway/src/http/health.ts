import {
  GatewayHealth as GatewayHealthAnswer,
  GatewayHealthQuery,
  HealthAction,
  HealthActionAnswer,
  ProblemError,
  unreachableOf,
} from '@tributary/protocol'
import { type App, type NodeOperations, requireRole } from '@tributary/service'
import type { Deps } from '../deps.ts'
import { GatewayHealth } from '../gateway-health.ts'

const tags = ['health']
/** When to ask again where a node did not answer, in seconds. */
const RETRY_AFTER_S = 5

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
        const { connections, sent, acknowledged, unreachable } = await hub.sendHealthCheck()
        const nodes = { acknowledged: [...acknowledged], ...unreachableOf(unreachable) }
        return { success: true as const, action: body.action, connections, sent, ...nodes }
      }
      if (body.action === 'consistency_check') {
        return { success: true as const, action: body.action, report: await deps.consistency.run() }
      }
      const { action, connectionId, reason } = body
      const { closed, acknowledged, unreachable } = await hub.close(connectionId, reason)
      if (closed > 0) return { success: true as const, action, connectionId, acknowledged: [...acknowledged] }
      const name = `connection ${JSON.stringify(connectionId)}`
      if (unreachable.length === 0)
        throw new ProblemError('connection_not_found', `There is no ${name}; it may have ended.`)
      // It may go on there.
      const silent = unreachable.join(', ')
      throw new ProblemError('node_unreachable', `No node has the ${name}, but for ${silent}: no answer.`, {
        retryAfterS: RETRY_AFTER_S,
      })
    },
  )
}
