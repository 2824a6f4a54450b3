import { EventCollector, ScriptedUpstream } from '@tributary/testkit'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HYBRID, MERGE, PARALLEL_TASKS, postJson, RELAY, startGateway, startWorker } from './services.ts'

const SECRET = 'a secret of thirty-two characters'
const MANAGED = '/api/sse/managed'
const SEND = { event: 'note', data: { n: 1 } }

/** These are a hundred and more requests of a few users, in no time. */
const UNLIMITED = {
  RATE_LIMIT_REQUESTS: '0',
  RATE_LIMIT_PUBLISHES: '0',
  RATE_LIMIT_CONNECTS: '0',
  RATE_LIMIT_RUNS: '0',
}

type Who = 'anonymous' | 'user' | 'other' | 'publisher' | 'admin'
const EVERYBODY: readonly Who[] = ['user', 'other', 'publisher', 'admin']
const WHO: readonly Who[] = ['anonymous', ...EVERYBODY]

interface RouteCase {
  /** As the app has it. */
  readonly route: string
  readonly mayUse: readonly Who[]
  /** What is asked in its place. Default: the route itself; `:mine` is a connection of `user`, `:runId` a run of his. */
  readonly path?: string
  readonly body?: unknown
  /** What who may use it is answered. Default: 200. */
  readonly answer?: { readonly status: number; readonly code: string }
}

const PUBLISHERS: readonly Who[] = ['publisher', 'admin']
const OWNER: readonly Who[] = ['user', 'admin']
const ADMIN: readonly Who[] = ['admin']

const RUN_ROUTES: readonly RouteCase[] = [
  { route: 'GET /api/runs', mayUse: EVERYBODY },
  { route: 'GET /api/runs/:runId', mayUse: OWNER },
  { route: 'GET /api/runs/:runId/events', mayUse: OWNER },
  { route: 'POST /api/runs/:runId/cancel', mayUse: OWNER },
]

const REVOCATION_ROUTES: readonly RouteCase[] = [
  { route: 'GET /api/auth/revocations', mayUse: ADMIN },
  { route: 'POST /api/auth/revocations', mayUse: ADMIN, body: { userId: 'nobody' } },
  {
    route: 'DELETE /api/auth/revocations',
    path: '/api/auth/revocations?userId=nobody',
    mayUse: ADMIN,
  },
]

const NODE_ROUTES: readonly RouteCase[] = [
  { route: 'GET /api/cluster/nodes', mayUse: ADMIN },
  {
    route: 'POST /api/cluster/nodes/:nodeId/drain',
    path: '/api/cluster/nodes/nobody/drain',
    mayUse: ADMIN,
    answer: { status: 404, code: 'node_not_found' },
  },
]

/** Held tasks, at an address that the test fills in. */
const HELD = 'held'

const WORKER_ROUTES: readonly RouteCase[] = [
  { route: 'POST /api/sse/emitter/parallel-tasks', mayUse: EVERYBODY, body: HELD },
  ...RUN_ROUTES,
  ...REVOCATION_ROUTES,
  ...NODE_ROUTES,
]

const GATEWAY_ROUTES: readonly RouteCase[] = [
  { route: 'GET /api/sse', mayUse: EVERYBODY },
  { route: 'GET /api/realtime/sse', mayUse: EVERYBODY },
  { route: 'GET /api/realtime/polling', mayUse: EVERYBODY },
  { route: `GET ${MANAGED}/connect`, mayUse: EVERYBODY },
  { route: `GET ${MANAGED}/connect/group/:groupId`, path: `${MANAGED}/connect/group/g`, mayUse: EVERYBODY },
  { route: 'GET /api/sse/health', mayUse: EVERYBODY },
  { route: 'GET /api/auth/sse-token', mayUse: EVERYBODY },
  { route: 'POST /api/auth/sse-token', mayUse: EVERYBODY },
  { route: 'POST /api/auth/session', mayUse: EVERYBODY },
  { route: `POST ${PARALLEL_TASKS}`, mayUse: EVERYBODY, body: HELD },
  {
    route: `POST ${HYBRID}`,
    mayUse: EVERYBODY,
    body: { localTasks: ['Calculate Stats'] },
  },
  { route: `POST ${MERGE}`, mayUse: EVERYBODY, body: ['/api/runs/:runId/events'] },
  { route: `POST ${RELAY}`, mayUse: OWNER, body: { endpoint: '/api/runs/:runId/events' } },
  ...RUN_ROUTES,
  ...REVOCATION_ROUTES,
  ...NODE_ROUTES,
  { route: 'POST /api/sse', mayUse: PUBLISHERS, body: SEND },
  {
    route: `POST ${MANAGED}/send/user/:userId`,
    path: `${MANAGED}/send/user/user`,
    mayUse: PUBLISHERS,
    body: SEND,
  },
  { route: `POST ${MANAGED}/send/filtered`, mayUse: PUBLISHERS, body: { ...SEND, where: { plan: 'pro' } } },
  { route: `POST ${MANAGED}/broadcast`, mayUse: PUBLISHERS, body: SEND },
  {
    route: `POST ${MANAGED}/broadcast/group/:groupId`,
    path: `${MANAGED}/broadcast/group/g`,
    mayUse: PUBLISHERS,
    body: SEND,
  },
  { route: 'POST /api/realtime/test', mayUse: ADMIN, body: { type: 'note', target: 'broadcast' } },
  {
    route: `GET ${MANAGED}/presence/group/:groupId`,
    path: `${MANAGED}/presence/group/g`,
    mayUse: EVERYBODY,
  },
  { route: `GET ${MANAGED}/presence/user/:userId`, path: `${MANAGED}/presence/user/user`, mayUse: OWNER },
  { route: `GET ${MANAGED}/status/user/:userId`, path: `${MANAGED}/status/user/user`, mayUse: OWNER },
  { route: `GET ${MANAGED}/connections/:id`, path: `${MANAGED}/connections/:mine`, mayUse: OWNER },
  {
    route: `POST ${MANAGED}/connections/:id/subscriptions`,
    path: `${MANAGED}/connections/:mine/subscriptions`,
    mayUse: OWNER,
    body: { join: ['g'] },
  },
  {
    route: `POST ${MANAGED}/connections/:id/token`,
    path: `${MANAGED}/connections/:mine/token`,
    mayUse: OWNER,
    body: { token: ':token' },
  },
  { route: `DELETE ${MANAGED}/connections/:id`, path: `${MANAGED}/connections/:mine`, mayUse: OWNER },
  {
    route: `DELETE ${MANAGED}/connections/user/:userId`,
    path: `${MANAGED}/connections/user/user`,
    mayUse: OWNER,
  },
  { route: `GET ${MANAGED}/status`, mayUse: ADMIN },
  { route: `GET ${MANAGED}/status/group/:groupId`, path: `${MANAGED}/status/group/g`, mayUse: ADMIN },
  { route: `GET ${MANAGED}/connections`, mayUse: ADMIN },
  { route: `DELETE ${MANAGED}/connections`, mayUse: ADMIN },
  { route: 'GET /api/sse/metrics', mayUse: ADMIN },
  { route: 'GET /api/realtime/monitor', mayUse: ADMIN },
  { route: 'POST /api/sse/health', mayUse: ADMIN, body: { action: 'health_check' } },
]

/** What needs no principal. */
const OPEN = ['DELETE /api/auth/session', 'GET /healthz', 'GET /readyz', 'GET /metrics']

function tokenOf(who: Who): Promise<string> {
  return new SignJWT({ sub: who, roles: who === 'publisher' || who === 'admin' ? [who] : [] })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRET))
}

const SERVICES = { gateway: GATEWAY_ROUTES, worker: WORKER_ROUTES }
type ServiceName = keyof typeof SERVICES

describe('in production', () => {
  let api: ScriptedUpstream
  let worker: Awaited<ReturnType<typeof startWorker>>
  let gateway: Awaited<ReturnType<typeof startGateway>>
  beforeAll(async () => {
    const env = {
      NODE_ENV: 'production',
      AUTH_JWT_SECRET: SECRET,
      WORKER_SECRET: 'another secret of more than 32 characters',
      ...UNLIMITED,
    }
    api = await ScriptedUpstream.start()
    api.route('/held', () => undefined)
    worker = await startWorker({ env })
    gateway = await startGateway({ env, workers: [worker] })
  })
  afterAll(async () => {
    await gateway.close()
    await worker.close()
    await api[Symbol.asyncDispose]()
  })

  const held = () => ({ tasks: [{ id: 'a', url: `${api.url}/held` }] })
  const urlOf = (service: ServiceName) => (service === 'gateway' ? gateway.url : worker.url)

  async function headersOf(who: Who, more: Readonly<Record<string, string>> = {}) {
    return { ...more, ...(who === 'anonymous' ? {} : { authorization: `Bearer ${await tokenOf(who)}` }) }
  }

  /** A run of `user` that goes on. */
  async function startRun(): Promise<string> {
    const headers = await headersOf('user', { accept: 'application/json' })
    const started = await postJson(gateway.url + PARALLEL_TASKS, held(), headers)
    return (await started.json()).runId
  }

  async function ask(service: ServiceName, who: Who, method: string, path: string, body?: string) {
    const answer = await fetch(urlOf(service) + path, {
      method,
      headers: await headersOf(who, body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(body === undefined ? {} : { body }),
    })
    if (answer.status === 200) {
      // Of a stream there is no more to read than that it is one.
      await answer.body?.cancel()
      return { status: 200, code: undefined }
    }
    const { code } = await answer.json()
    return { status: answer.status, code }
  }

  describe.each<ServiceName>(['gateway', 'worker'])('the %s', (service) => {
    it('has no route that is not in the table, and none of the table is missing', async () => {
      const { paths } = await (await fetch(`${urlOf(service)}/docs/json`)).json()
      const routes = Object.entries<object>(paths).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
      )
      const tabled = SERVICES[service].map(({ route }) => route)
      const other = routes.filter((route) => !OPEN.includes(route))
      expect(other.toSorted()).toEqual(tabled.toSorted())
    })

    describe.each(SERVICES[service])('$route', ({ route, path, mayUse, body, answer: own }) => {
      it.each(WHO)('for %s', async (who) => {
        await using reader = await EventCollector.open(
          `${gateway.url}${MANAGED}/connect?token=${await tokenOf('user')}`,
        )
        await reader.waitFor('connection')
        const mine = gateway.deps.hub.local.connectionsOfUser('user').at(-1)?.connectionId ?? ''
        const needsRun = JSON.stringify([route, body]).includes('/:runId')
        const runId = needsRun ? await startRun() : ''
        const token = await tokenOf('user')
        const filled = (text: string) =>
          text.replace(':mine', mine).replace(':runId', runId).replace(':token', token)
        const [method = '', address = ''] = route.split(' ')
        const sent = body === undefined ? undefined : filled(JSON.stringify(body === HELD ? held() : body))
        const answer = await ask(service, who, method, filled(path ?? address), sent)
        if (mayUse.includes(who)) expect(answer).toEqual(own ?? { status: 200, code: undefined })
        else if (who === 'anonymous') expect(answer).toEqual({ status: 401, code: 'unauthorized' })
        else expect(answer).toEqual({ status: 403, code: 'forbidden' })
        for (const { runs } of [gateway.deps, worker.deps]) {
          for (const { runId: id } of (await runs.list({ status: 'running' })).runs)
            await runs.cancel(await runs.find(id))
        }
      })
    })
  })

  it('a healthy stream beside all that misses nothing', async () => {
    await using reader = await EventCollector.open(
      `${gateway.url}${MANAGED}/connect?token=${await tokenOf('user')}`,
    )
    await reader.waitFor('connection')
    for (let n = 0; n < 5; n++) {
      await ask(
        'gateway',
        'other',
        'POST',
        `${MANAGED}/broadcast`,
        JSON.stringify({ event: 'forged', data: n }),
      )
      await gateway.deps.hub.sendToUser('user', 'note', n)
    }
    await expect.poll(() => reader.events.filter(({ type }) => type === 'note')).toHaveLength(5)
    expect(reader.events.map(({ type }) => type)).not.toContain('forged')
  })

  it.each<[ServiceName, string, string]>([
    ['gateway', 'POST', '/api/sse/reset'],
    ['gateway', 'GET', '/api/sse-proxy/reactive/sample-parallel/sse-emitter'],
    ['worker', 'GET', '/api/sse/sample-parallel'],
    ['worker', 'GET', '/api/sse/flow-example'],
    ['worker', 'GET', '/api/sse/parallel-tasks-progress'],
    ['worker', 'GET', '/api/sample/users'],
    ['worker', 'GET', '/api/sample/slow'],
  ])('at the %s there is no %s %s, which development alone has', async (service, method, path) => {
    expect(await ask(service, 'admin', method, path)).toEqual({ status: 404, code: 'not_found' })
  })
})
