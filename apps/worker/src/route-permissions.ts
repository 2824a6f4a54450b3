import type { RoutePermissions } from '@tributary/service'

/** What may be done by whom: every route of the worker that needs a principal, and what it asks of him. */
export const ROUTE_PERMISSIONS: RoutePermissions = {
  'POST /api/sse/emitter/parallel-tasks': 'run',
  'GET /api/sse/sample-parallel': 'run',
  'GET /api/sse/parallel-tasks-progress': 'run',
  'GET /api/sse/flow-example': 'run',

  'GET /api/runs': 'own',
  'GET /api/runs/:runId': 'own',
  'GET /api/runs/:runId/events': 'own',
  'POST /api/runs/:runId/cancel': 'own',

  'GET /api/cluster/nodes': 'admin',
  'POST /api/cluster/nodes/:nodeId/drain': 'admin',
  'POST /api/auth/revocations': 'admin',
  'GET /api/auth/revocations': 'admin',
  'DELETE /api/auth/revocations': 'admin',
}
