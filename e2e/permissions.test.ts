import { EventCollector } from '@tributary/testkit'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startGateway } from './services.ts'

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

/** The routes, and who may use them. `:mine` is a connection of `user`, and `user` is his name. */
const ROUTES: readonly [method: string, path: string, mayUse: readonly Who[], body?: unknown][] = [
  ['GET', '/api/sse', EVERYBODY],
  ['GET', '/api/realtime/sse', EVERYBODY],
  ['GET', '/api/realtime/polling', EVERYBODY],
  ['GET', `${MANAGED}/connect`, EVERYBODY],
  ['GET', `${MANAGED}/connect/group/g`, EVERYBODY],
  ['GET', '/api/sse/health', EVERYBODY],
  ['GET', '/api/auth/sse-token', EVERYBODY],
  ['POST', '/api/auth/sse-token', EVERYBODY],
  ['GET', '/api/runs', EVERYBODY],
  ['POST', '/api/sse', ['publisher', 'admin'], SEND],
  ['POST', `${MANAGED}/send/user/user`, ['publisher', 'admin'], SEND],
  ['POST', `${MANAGED}/send/filtered`, ['publisher', 'admin'], { ...SEND, where: { plan: 'pro' } }],
  ['POST', `${MANAGED}/broadcast`, ['publisher', 'admin'], SEND],
  ['POST', `${MANAGED}/broadcast/group/g`, ['publisher', 'admin'], SEND],
  ['POST', '/api/realtime/test', ['publisher', 'admin'], { type: 'note', target: 'broadcast' }],
  ['GET', `${MANAGED}/status/user/user`, ['user', 'admin']],
  ['GET', `${MANAGED}/connections/:mine`, ['user', 'admin']],
  ['POST', `${MANAGED}/connections/:mine/subscriptions`, ['user', 'admin'], { join: ['g'] }],
  ['DELETE', `${MANAGED}/connections/:mine`, ['user', 'admin']],
  ['GET', `${MANAGED}/status`, ['admin']],
  ['GET', `${MANAGED}/status/group/g`, ['admin']],
  ['GET', `${MANAGED}/connections`, ['admin']],
  ['DELETE', `${MANAGED}/connections`, ['admin']],
  ['GET', '/api/auth/revocations', ['admin']],
  ['POST', '/api/auth/revocations', ['admin'], { userId: 'nobody' }],
  ['DELETE', '/api/auth/revocations?userId=nobody', ['admin']],
  ['GET', '/api/sse/metrics', ['admin']],
  ['GET', '/api/realtime/monitor', ['admin']],
  ['POST', '/api/sse/health', ['admin'], { action: 'health_check' }],
]

function tokenOf(who: Who): Promise<string> {
  return new SignJWT({ sub: who, roles: who === 'publisher' || who === 'admin' ? [who] : [] })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRET))
}

describe('in production', () => {
  let gateway: Awaited<ReturnType<typeof startGateway>>
  beforeAll(async () => {
    gateway = await startGateway({ env: { NODE_ENV: 'production', AUTH_JWT_SECRET: SECRET, ...UNLIMITED } })
  })
  afterAll(() => gateway.close())

  async function ask(who: Who, method: string, path: string, body: unknown) {
    const answer = await fetch(gateway.url + path, {
      method,
      headers: {
        ...(who === 'anonymous' ? {} : { authorization: `Bearer ${await tokenOf(who)}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (answer.status === 200) {
      // Of a stream there is no more to read than that it is one.
      await answer.body?.cancel()
      return { status: 200, code: undefined }
    }
    const { code } = await answer.json()
    return { status: answer.status, code }
  }

  describe.each(ROUTES)('%s %s', (method, path, mayUse, body) => {
    it.each(WHO)('for %s', async (who) => {
      await using reader = await EventCollector.open(
        `${gateway.url}${MANAGED}/connect?token=${await tokenOf('user')}`,
      )
      await reader.waitFor('connection')
      const [mine] = gateway.deps.hub.connectionsOfUser('user')
      const answer = await ask(who, method, path.replace(':mine', mine?.connectionId ?? ''), body)
      if (mayUse.includes(who)) expect(answer).toEqual({ status: 200, code: undefined })
      else if (who === 'anonymous') expect(answer).toEqual({ status: 401, code: 'unauthorized' })
      else expect(answer).toEqual({ status: 403, code: 'forbidden' })
    })
  })

  it('a healthy stream beside all that misses nothing', async () => {
    await using reader = await EventCollector.open(
      `${gateway.url}${MANAGED}/connect?token=${await tokenOf('user')}`,
    )
    await reader.waitFor('connection')
    for (let n = 0; n < 5; n++) {
      await ask('other', 'POST', `${MANAGED}/broadcast`, { event: 'forged', data: n })
      await gateway.deps.hub.sendToUser('user', 'note', n)
    }
    await expect.poll(() => reader.events.filter(({ type }) => type === 'note')).toHaveLength(5)
    expect(reader.events.map(({ type }) => type)).not.toContain('forged')
  })

  it('has no route that development alone has', async () => {
    expect((await ask('admin', 'POST', '/api/sse/reset', undefined)).status).toBe(404)
  })
})
