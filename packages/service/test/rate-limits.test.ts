import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { rateLimitsOf } from '../src/limits/rate-limits.ts'
import { ServiceMetrics } from '../src/metrics/service-metrics.ts'
import { serve, type TestOptions } from './service-under-test.ts'

const LIMITS = { windowMs: 60_000, requests: 3, publishes: 2, connects: 1, runs: 0 }
const PERMISSIONS = {
  'POST /api/tasks': 'run',
  'POST /api/runs/:id/cancel': 'own',
  'GET /api/things/:id': 'own',
  'GET /api/who': 'own',
  'GET /api/broken': 'admin',
  'GET /api/busy': 'publish',
} as const
const ANN = { authorization: 'Bearer t-1' }
const BOB = { authorization: 'Bearer t-2' }

async function limited(options: TestOptions = {}) {
  const clock = new FakeClock()
  const { app } = await serve({
    rateLimits: LIMITS,
    permissions: PERMISSIONS,
    trustLoopback: false,
    clock,
    ...options,
  })
  const ask = async (
    url: string,
    headers: Readonly<Record<string, string>> = {},
    remoteAddress = '192.0.2.1',
  ) => {
    const answer = await app.inject({ url, headers, remoteAddress })
    return { status: answer.statusCode, headers: answer.headers, body: JSON.parse(answer.body) }
  }
  const statuses = async (times: number, ...request: Parameters<typeof ask>) => {
    const all: number[] = []
    for (let n = 0; n < times; n += 1) all.push((await ask(...request)).status)
    return all
  }
  return { app, clock, ask, statuses }
}

describe('a principal', () => {
  it('is told what is left, refused beyond it, and let in again when the time is over', async () => {
    const { ask, clock } = await limited()
    const first = await ask('/api/who', ANN)
    expect([first.status, first.headers]).toMatchObject([
      200,
      {
        'ratelimit-policy': '"requests";q=3;w=60',
        ratelimit: '"requests";r=2;t=60',
        'ratelimit-limit': '3',
        'ratelimit-remaining': '2',
        'ratelimit-reset': '60',
      },
    ])
    clock.advance(20_500)
    await ask('/api/things/1', ANN)
    await ask('/api/things/2', ANN)
    const refused = await ask('/api/who', ANN)
    expect([refused.status, refused.body, refused.headers]).toMatchObject([
      429,
      {
        code: 'rate_limited',
        category: 'rate_limit',
        recovery: 'retry',
        detail: 'More than 3 requests in 60 s (RATE_LIMIT_REQUESTS); try again in 40 s.',
      },
      {
        'retry-after': '40',
        ratelimit: '"requests";r=0;t=40',
        'content-type': expect.stringMatching('problem'),
      },
    ])
    clock.advance(39_500)
    expect((await ask('/api/who', ANN)).status).toBe(200)
  })

  it('has a limit of his own, whatever his address', async () => {
    const { ask, statuses } = await limited()
    expect(await statuses(3, '/api/who', ANN)).toEqual([200, 200, 200])
    expect((await ask('/api/who', ANN, '198.51.100.7')).status).toBe(429)
    expect(await statuses(3, '/api/who', BOB)).toEqual([200, 200, 200])
  })

  it('has one for each class, and none where that is 0', async () => {
    const { app, statuses } = await limited()
    expect(await statuses(3, '/api/busy', ANN)).toEqual([503, 503, 429])
    expect(await statuses(4, '/api/who', ANN)).toEqual([200, 200, 200, 429])
    const runs = Array.from({ length: 5 }, () =>
      app.inject({ method: 'POST', url: '/api/tasks', headers: ANN, payload: { tasks: ['one'] } }),
    )
    for (const { statusCode, headers } of await Promise.all(runs)) {
      expect([statusCode, headers.ratelimit]).toEqual([200, undefined])
    }
  })

  it('is counted for what he may not do, too', async () => {
    const { statuses } = await limited()
    expect(await statuses(4, '/api/broken', BOB)).toEqual([403, 403, 403, 429])
  })
})

describe('an address', () => {
  it('is limited in bad tokens, and who has a good one goes on there', async () => {
    const { ask, statuses } = await limited()
    expect(await statuses(4, '/api/who?token=bad')).toEqual([401, 401, 401, 429])
    expect(await statuses(2, '/api/who')).toEqual([429, 429])
    expect((await ask('/api/who', ANN)).status).toBe(200)
    expect(await statuses(4, '/api/who?token=bad', {}, '192.0.2.2')).toEqual([401, 401, 401, 429])
  })

  it('is limited in what is not there', async () => {
    const { statuses } = await limited()
    expect(await statuses(4, '/none')).toEqual([404, 404, 404, 429])
  })

  it('is the /64 of IPv6, and the IPv4 address within IPv6', async () => {
    const { ask, statuses } = await limited()
    await statuses(3, '/none', {}, '2001:db8:1:2::1')
    expect((await ask('/none', {}, '2001:db8:1:2:ffff::9')).status).toBe(429)
    expect((await ask('/none', {}, '2001:db8:1:3::1')).status).toBe(404)
    await statuses(3, '/none', {}, '::ffff:192.0.2.9')
    expect((await ask('/none', {}, '192.0.2.9')).status).toBe(429)
  })

  it('is none that a user can take the name of', async () => {
    const { ask, statuses } = await limited()
    await statuses(4, '/none', {}, '192.0.2.1')
    expect((await ask('/api/who', ANN)).status).toBe(200)
  })
})

it('what watches the service, and pages, have no limit', async () => {
  const { statuses } = await limited()
  for (const url of ['/healthz', '/readyz', '/open', '/docs/json']) {
    expect(await statuses(5, url)).toEqual([200, 200, 200, 200, 200])
  }
})

it('counts its refusals among the problems, those within a stream too', async () => {
  const metrics = new ServiceMetrics(new FakeClock())
  const { ask, statuses } = await limited({
    metrics,
    refuseStream: (reply, error) => {
      if (reply.request.headers['last-event-id'] === undefined) throw error
      reply.code(200).send({ busy: true })
    },
    routes: (app) => app.get('/stream', { config: { rateClass: 'connects' } }, async () => ({ open: true })),
  })
  expect(await statuses(2, '/stream')).toEqual([200, 429])
  const back = { 'last-event-id': '1-1' }
  expect((await ask('/stream', back)).body).toEqual({ busy: true })
  expect((await ask('/stream', { ...back, accept: 'application/json' })).status).toBe(429)
  expect(metrics.requests.problemsByCategory().rate_limit).toBe(3)
  metrics.close()
})

it('a route may have a limit of its own', async () => {
  const config = { rateLimit: { max: 1, timeWindow: 60_000 } }
  const { statuses } = await limited({
    routes: (app) => app.get('/own', { config }, async () => ({ open: true })),
  })
  expect(await statuses(2, '/own')).toEqual([200, 429])
})

it('in production each class has 100 in a minute, unless told otherwise; elsewhere there is no limit', () => {
  const RATE_LIMIT_WINDOW_MS = 60_000
  expect(
    rateLimitsOf({
      NODE_ENV: 'production',
      RATE_LIMIT_WINDOW_MS,
      RATE_LIMIT_RUNS: 0,
      RATE_LIMIT_CONNECTS: 7,
    }),
  ).toEqual({
    windowMs: 60_000,
    requests: 100,
    publishes: 100,
    connects: 7,
    runs: 0,
  })
  expect(rateLimitsOf({ NODE_ENV: 'development', RATE_LIMIT_WINDOW_MS, RATE_LIMIT_RUNS: 5 })).toEqual({
    windowMs: 60_000,
    requests: 0,
    publishes: 0,
    connects: 0,
    runs: 5,
  })
})
