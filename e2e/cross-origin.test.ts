import { once } from 'node:events'
import { get, type IncomingMessage, request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startGateway, startWorker } from './services.ts'

const SECRET = 'a secret of thirty-two characters'
const APP = 'https://app.example'
const EVIL = 'https://evil.example'
const MANAGED = '/api/sse/managed'
const env = {
  // The GETs that start a run are there outside production alone.
  NODE_ENV: 'test',
  AUTH_JWT_SECRET: SECRET,
  WORKER_SECRET: SECRET,
  CORS_ORIGINS: APP,
  CORS_CREDENTIALS: 'true',
  MAX_CONNECTIONS_PER_USER: '0',
  RATE_LIMIT_REQUESTS: '0',
  RATE_LIMIT_PUBLISHES: '0',
  RATE_LIMIT_CONNECTS: '0',
  RATE_LIMIT_RUNS: '0',
}

let gateway: Awaited<ReturnType<typeof startGateway>>
let worker: Awaited<ReturnType<typeof startWorker>>
let cookie: string

beforeAll(async () => {
  worker = await startWorker({ env })
  gateway = await startGateway({ env, workers: [worker] })
  const ann = { userId: 'ann', roles: ['admin'], method: 'session', metadata: {} } as const
  const issued = await gateway.deps.sessionCookies?.issue(ann)
  cookie = issued?.setCookie.split(';')[0] ?? ''
})
afterAll(async () => {
  await gateway.close()
  await worker.close()
})

/** The head of an answer; a stream is left then. Node's own client sends nothing that a browser would not let a page set. */
async function headOf(
  path: string,
  headers: Record<string, string>,
  { method = 'GET', to = gateway }: { method?: string; to?: { readonly url: string } } = {},
): Promise<IncomingMessage> {
  const asking =
    method === 'GET' ? get(to.url + path, { headers }) : request(to.url + path, { method, headers }).end()
  const [answer]: IncomingMessage[] = await once(asking, 'response')
  if (answer === undefined) throw new Error('no answer')
  answer.destroy()
  return answer
}

describe('a stream', () => {
  it.each([`${MANAGED}/connect`, `${MANAGED}/connect/group/g`, '/api/sse', '/api/realtime/polling'])(
    'of %s is read by a listed page with the cookies of its user, and by no other',
    async (path) => {
      const listed = await headOf(path, { cookie, origin: APP })
      expect(listed.statusCode).toBe(200)
      expect(listed.headers).toMatchObject({
        'access-control-allow-origin': APP,
        'access-control-allow-credentials': 'true',
        'access-control-expose-headers': expect.stringContaining('Run-Id'),
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        vary: 'Origin',
      })
      const other = await headOf(path, { cookie, origin: EVIL })
      expect([other.statusCode, other.headers['access-control-allow-origin'], other.headers.vary]).toEqual([
        403,
        undefined,
        'Origin',
      ])
      expect((await headOf(path, { cookie })).statusCode).toBe(200)
    },
  )

  it('that is refused is read by a listed page, too', async () => {
    const answer = await headOf(`${MANAGED}/connect`, { origin: APP })
    expect([answer.statusCode, answer.headers['access-control-allow-origin']]).toEqual([401, APP])
  })

  it('of a run is read by a listed page at either service', async () => {
    for (const [to, path] of [
      [gateway, '/api/sse-proxy/reactive/sample-parallel/sse-emitter'],
      [worker, '/api/runs'],
    ] as const) {
      const answer = await headOf(path, { cookie, origin: APP }, { to })
      expect(answer.headers).toMatchObject({
        'access-control-allow-origin': APP,
        'x-content-type-options': 'nosniff',
      })
    }
  })
})

/** What changes something: by its method, or because it starts a run. */
const CHANGING: readonly (readonly [method: string, path: string])[] = [
  ['POST', '/api/sse'],
  ['POST', `${MANAGED}/send/user/ann`],
  ['POST', `${MANAGED}/send/filtered`],
  ['POST', `${MANAGED}/broadcast`],
  ['POST', `${MANAGED}/broadcast/group/g`],
  ['POST', `${MANAGED}/connections/x/subscriptions`],
  ['DELETE', `${MANAGED}/connections/x`],
  ['DELETE', `${MANAGED}/connections`],
  ['POST', '/api/sse-proxy/reactive/parallel-tasks/sse-emitter'],
  ['GET', '/api/sse-proxy/reactive/sample-parallel/sse-emitter'],
  ['POST', '/api/sse-proxy/relay/sse-emitter'],
  ['POST', '/api/sse-proxy/merge-streams/sse-emitter'],
  ['POST', '/api/sse-integration/hybrid-execution/sse-emitter'],
  ['POST', '/api/runs/run_1/cancel'],
  ['POST', '/api/realtime/test'],
  ['POST', '/api/sse/health'],
]

describe.each(CHANGING)('%s %s', (method, path) => {
  it.each<[string, Record<string, string>]>([
    ['another origin', { origin: EVIL }],
    ['a sandboxed page', { origin: 'null' }],
    ['another site, as the browser says', { 'sec-fetch-site': 'cross-site' }],
    ['another page, by its address', { referer: `${EVIL}/` }],
    ['who does not say', {}],
  ])('with a session is refused from %s', async (_name, headers) => {
    expect((await headOf(path, { cookie, ...headers }, { method })).statusCode).toBe(403)
  })

  it('with a session is let on from its own page and a listed one', async () => {
    for (const origin of [gateway.url, APP])
      expect((await headOf(path, { cookie, origin }, { method })).statusCode).not.toBe(403)
    expect((await headOf(path, { cookie, 'sec-fetch-site': 'same-origin' }, { method })).statusCode).not.toBe(
      403,
    )
  })
})
