import type { RoutePermissions } from '@tributary/service'

/** What may be done by whom: every route of the gateway that needs a principal, and what it asks of him. */
const ROUTE_PERMISSIONS = {
  'GET /api/sse': 'connect',
  'GET /api/realtime/sse': 'connect',
  'GET /api/realtime/polling': 'connect',
  'GET /api/sse/managed/connect': 'connect',
  'GET /api/sse/managed/connect/group/:groupId': 'connect',

  'GET /api/auth/sse-token': 'own',
  'POST /api/auth/sse-token': 'own',
  'POST /api/auth/session': 'own',

  'GET /api/sse/health': 'connect',

  'POST /api/sse-proxy/reactive/parallel-tasks/sse-emitter': 'run',
  'GET /api/sse-proxy/reactive/sample-parallel/sse-emitter': 'run',
  'POST /api/sse-integration/hybrid-execution/sse-emitter': 'run',
  'POST /api/sse-proxy/merge-streams/sse-emitter': 'relay',
  'POST /api/sse-proxy/relay/sse-emitter': 'relay',

  'GET /api/runs': 'own',
  'GET /api/runs/:runId': 'own',
  'GET /api/runs/:runId/events': 'own',
  'POST /api/runs/:runId/cancel': 'own',

  'POST /api/sse': 'publish',
  'POST /api/sse/managed/send/user/:userId': 'publish:user',
  'POST /api/sse/managed/send/filtered': 'publish:all',
  'POST /api/sse/managed/broadcast': 'publish:all',
  'POST /api/sse/managed/broadcast/group/:groupId': 'publish:group',
  'POST /api/realtime/test': 'publish',

  'GET /api/sse/managed/presence/group/:groupId': 'own',
  'GET /api/sse/managed/presence/user/:userId': 'own',
  'GET /api/sse/managed/status/user/:userId': 'own',
  'GET /api/sse/managed/connections/:id': 'own',
  'DELETE /api/sse/managed/connections/:id': 'own',
  'DELETE /api/sse/managed/connections/user/:userId': 'own',
  'POST /api/sse/managed/connections/:id/subscriptions': 'own',
  'POST /api/sse/managed/connections/:id/token': 'own',

  'GET /api/sse/managed/status': 'admin',
  'GET /api/sse/managed/status/group/:groupId': 'admin',
  'GET /api/sse/managed/connections': 'admin',
  'DELETE /api/sse/managed/connections': 'admin',
  'GET /api/sse/metrics': 'admin',
  'POST /api/sse/reset': 'admin',
  'POST /api/sse/health': 'admin',
  'GET /api/realtime/monitor': 'admin',
  'GET /api/cluster/nodes': 'admin',
  'POST /api/cluster/nodes/:nodeId/drain': 'admin',
  'POST /api/auth/revocations': 'admin',
  'GET /api/auth/revocations': 'admin',
  'DELETE /api/auth/revocations': 'admin',
} satisfies RoutePermissions

/** The same in an environment: in production test events are an admin's. */
export function routePermissions(nodeEnv: string): RoutePermissions {
  if (nodeEnv !== 'production') return ROUTE_PERMISSIONS
  return { ...ROUTE_PERMISSIONS, 'POST /api/realtime/test': 'admin' }
}
