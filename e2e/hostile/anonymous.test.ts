import type { HostileCase } from './hostile-case.ts'
import { inHostileWorld } from './hostile-world.ts'

const MANAGED = '/api/sse/managed'
const SEND = { event: 'forged', data: 1 }
const hostile = inHostileWorld({ gateway: { AUTH_ANONYMOUS: 'true', AUTH_ANONYMOUS_GROUPS: 'news,open-*' } })

const REFUSED: readonly Pick<HostileCase, 'method' | 'path' | 'body'>[] = [
  { method: 'POST', path: '/api/sse', body: SEND },
  { method: 'POST', path: `${MANAGED}/send/user/healthy`, body: SEND },
  { method: 'POST', path: `${MANAGED}/broadcast`, body: SEND },
  { method: 'POST', path: `${MANAGED}/broadcast/group/news`, body: SEND },
  { method: 'POST', path: '/api/sse-proxy/reactive/parallel-tasks/sse-emitter', body: { tasks: ['x'] } },
  {
    method: 'POST',
    path: '/api/sse-proxy/relay/sse-emitter',
    body: { endpoint: '/api/sse/sample-parallel' },
  },
  { method: 'POST', path: '/api/sse-proxy/merge-streams/sse-emitter', body: ['/api/sse/sample-parallel'] },
  { method: 'GET', path: '/api/runs' },
  { method: 'POST', path: '/api/runs/run_1/cancel' },
  { method: 'GET', path: '/api/auth/sse-token' },
  { method: 'POST', path: '/api/auth/session' },
  { method: 'GET', path: `${MANAGED}/status` },
  { method: 'DELETE', path: `${MANAGED}/connections` },
  { method: 'POST', path: '/api/auth/revocations', body: { userId: 'healthy' } },
  { method: 'GET', path: `${MANAGED}/presence/group/news` },
  { method: 'GET', path: `${MANAGED}/presence/user/healthy` },
]

hostile(
  'an anonymous stream may not',
  REFUSED.map((refused) => ({
    ...refused,
    path: `${refused.path}?sessionId=s1`,
    name: `${refused.method} ${refused.path}`,
    status: 403,
    code: 'forbidden',
  })),
)

hostile('an anonymous stream', [
  { name: 'is opened', path: '/api/sse?sessionId=s1', status: 200 },
  {
    name: 'joins what is open',
    path: `${MANAGED}/connect/group/open-1?sessionId=s2&groups=news`,
    status: 200,
  },
  {
    name: 'joins nothing else',
    path: `${MANAGED}/connect/group/chat?sessionId=s3`,
    status: 403,
    code: 'forbidden',
  },
  {
    name: 'is not told who else is there',
    path: '/api/sse?sessionId=s5&groups=news&presence=true',
    status: 403,
    code: 'forbidden',
  },
  {
    name: 'joins no further',
    path: '/api/sse?sessionId=s4&groups=news,chat',
    status: 403,
    code: 'forbidden',
  },
  {
    name: 'is not taken for who has a bad token',
    path: '/api/sse?sessionId=s5&token=x',
    status: 401,
    code: 'token_invalid',
  },
  { name: 'needs a session', path: '/api/sse', status: 401, code: 'unauthorized' },
  {
    name: 'needs one that is a name',
    path: '/api/sse?sessionId=%0d%0aX:y',
    status: 400,
    code: 'invalid_request',
  },
])
