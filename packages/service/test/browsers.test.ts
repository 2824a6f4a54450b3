import { request } from 'undici'
import { describe, expect, test } from 'vitest'
import type { AppOptions } from '../src/create-app.ts'
import { addStaticPage, Drain, SSE_CLIENT_PAGE } from '../src/index.ts'
import { serve } from './service-under-test.ts'

type WebConfig = NonNullable<AppOptions['web']>
const APP = 'https://app.example'
const LISTED: WebConfig = {
  NODE_ENV: 'production',
  CORS_ORIGINS: [`${APP}/`, 'http://localhost:5173'],
  CORS_CREDENTIALS: true,
}

interface Asked {
  readonly method?: 'GET' | 'POST' | 'OPTIONS' | 'PUT'
  readonly headers?: Record<string, string>
}

async function ask(url: string, { method = 'GET', headers = {} }: Asked = {}) {
  const answer = await request(url, { method, headers })
  await answer.body.dump()
  return { status: answer.statusCode, headers: answer.headers }
}

const PREFLIGHT = {
  'access-control-request-method': 'POST',
  'access-control-request-headers': 'x-auth-token',
}
const corsOf = (headers: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('access-control-')))

describe('with a list of origins', () => {
  /** An answer of each kind: what it asks for, and its status. */
  const ANSWERS: readonly [name: string, path: string, status: number, asked?: Asked][] = [
    ['what is found', '/api/who?token=t-1', 200],
    ['a 401', '/api/who?token=nope', 401],
    ['a 404', '/nowhere', 404],
    ['a 405', '/api/who', 405, { method: 'PUT' }],
    ['a 400', '/api/things/x?token=t-1', 400],
    ['a 415', '/api/tasks?token=t-1', 415, { method: 'POST', headers: { 'content-type': 'text/plain' } }],
    ['a 500', '/api/broken?token=t-1', 500],
    ['a 503', '/api/busy?token=t-1', 503],
    ['health', '/healthz', 200],
    ['the documents', '/docs/json', 200],
  ]

  test.each(ANSWERS)('a listed page reads %s', async (_name, path, status, asked) => {
    const { url } = await serve({ web: LISTED, trustLoopback: false })
    const answer = await ask(url + path, { ...asked, headers: { origin: APP, ...asked?.headers } })
    expect(answer.status).toBe(status)
    expect(corsOf(answer.headers)).toEqual({
      'access-control-allow-origin': APP,
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': expect.stringMatching(
        /^Run-Id, Location, Retry-After, Idempotent-Replayed, RateLimit/,
      ),
    })
    expect(answer.headers.vary).toBe('Origin')
  })

  test.each(ANSWERS)('another page, or none, reads nothing of %s', async (_name, path, status, asked) => {
    const { url } = await serve({ web: LISTED, trustLoopback: false })
    for (const origin of [
      'https://evil.example',
      'https://app.example.evil.example',
      'http://app.example',
      'null',
    ]) {
      const answer = await ask(url + path, { ...asked, headers: { origin, ...asked?.headers } })
      expect([answer.status, corsOf(answer.headers), answer.headers.vary]).toEqual([status, {}, 'Origin'])
    }
    const answer = await ask(url + path, asked)
    expect([answer.status, corsOf(answer.headers), answer.headers.vary]).toEqual([status, {}, 'Origin'])
  })

  test.each(['/api/tasks', '/api/who', '/healthz', '/nowhere'])(
    'answers a preflight for %s',
    async (path) => {
      const { url } = await serve({ web: LISTED, trustLoopback: false })
      const answer = await ask(url + path, { method: 'OPTIONS', headers: { origin: APP, ...PREFLIGHT } })
      expect(answer.status).toBe(204)
      expect(corsOf(answer.headers)).toMatchObject({
        'access-control-allow-origin': APP,
        'access-control-allow-credentials': 'true',
        'access-control-allow-methods': 'GET, HEAD, POST, DELETE',
        'access-control-allow-headers': 'x-auth-token',
        'access-control-max-age': '600',
      })
      expect(answer.headers.vary).toMatch(/^Origin/)
    },
  )

  test('lets another page do nothing by a preflight', async () => {
    const { url } = await serve({ web: LISTED })
    const headers = { origin: 'https://evil.example', ...PREFLIGHT }
    const answer = await ask(`${url}/api/tasks`, { method: 'OPTIONS', headers })
    expect([answer.status, corsOf(answer.headers)]).toEqual([204, {}])
  })

  test.each([{}, { origin: APP }])(
    'tells the methods of a path, and that there is none, to %j',
    async (headers) => {
      const { url } = await serve({ web: LISTED })
      const answer = await ask(`${url}/api/tasks`, { method: 'OPTIONS', headers })
      expect([answer.status, answer.headers.allow]).toEqual([204, 'OPTIONS, POST'])
      const nowhere = await ask(`${url}/nowhere`, { method: 'OPTIONS', headers })
      expect(nowhere.status).toBe(404)
      expect(nowhere.headers['content-type']).toMatch(/^application\/problem\+json/)
      expect((await ask(`${url}/nowhere`, { headers })).status).toBe(404)
    },
  )

  test('a refusal while it drains is read, too', async () => {
    const drain = new Drain({ limitMs: 10, logger: { info: () => undefined, warn: () => undefined } })
    const { app } = await serve({ web: LISTED, drain })
    drain.onDrain('held', () => new Promise(() => undefined))
    void drain.begin()
    const answer = await app.inject({ url: '/api/who', headers: { origin: APP } })
    expect(answer.statusCode).toBe(503)
    expect(answer.headers['access-control-allow-origin']).toBe(APP)
  })
})

describe('with every origin', () => {
  test('any page reads, without cookies', async () => {
    const { url } = await serve({ web: { ...LISTED, CORS_ORIGINS: ['*'], CORS_CREDENTIALS: false } })
    const answer = await ask(`${url}/api/who?token=t-1`, { headers: { origin: 'https://any.example' } })
    expect(answer.headers['access-control-allow-origin']).toBe('*')
    expect(answer.headers['access-control-allow-credentials']).toBeUndefined()
  })

  test.each([['*'], [APP, '*']])('none may send cookies along: %j', async (...origins) => {
    const web = { ...LISTED, CORS_ORIGINS: origins }
    await expect(serve({ web })).rejects.toThrow('CORS_ORIGINS must name origins, not *')
  })
})

test('without origins no page but its own reads anything', async () => {
  const { url } = await serve()
  const answer = await ask(`${url}/api/who?token=t-1`, { headers: { origin: APP } })
  expect([answer.status, corsOf(answer.headers), answer.headers.vary]).toEqual([200, {}, undefined])
})

describe('every answer', () => {
  const SECURE = {
    'content-security-policy': "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'",
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  }

  test.each(['/api/who', '/api/who?token=nope', '/nowhere', '/api/broken', '/healthz', '/readyz'])(
    'has the headers of security: %s',
    async (path) => {
      const { url } = await serve()
      const { headers } = await ask(url + path)
      expect(headers).toMatchObject(SECURE)
      expect(headers['x-powered-by']).toBeUndefined()
    },
  )

  test('of a page keeps the policy of its own content', async () => {
    const { url } = await serve({
      routes: (app) => void app.register((one) => addStaticPage(one, SSE_CLIENT_PAGE)),
    })
    const { 'content-security-policy': _, ...others } = SECURE
    for (const page of ['/docs/', '/sse-client.html']) {
      const { headers } = await ask(url + page)
      expect(headers).toMatchObject(others)
      expect(headers['content-security-policy']).toContain("script-src 'self'")
    }
  })

  test('asks for https in production alone, and not of subdomains', async () => {
    const [development, production] = [await serve(), await serve({ web: LISTED })]
    expect((await ask(`${development.url}/healthz`)).headers['strict-transport-security']).toBeUndefined()
    expect((await ask(`${production.url}/healthz`)).headers['strict-transport-security']).toBe(
      'max-age=15552000',
    )
  })

  test('to what is no request is not taken for something else', async () => {
    const { url } = await serve()
    const answer = await request(`${url}/%zz`)
    await answer.body.dump()
    expect([answer.statusCode, answer.headers['x-content-type-options']]).toEqual([400, 'nosniff'])
  })
})
