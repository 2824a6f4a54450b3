import { systemClock } from '@tributary/protocol'
import { SignJWT } from 'jose'
import { request } from 'undici'
import { describe, expect, test } from 'vitest'
import { type AuthConfig, createAuthenticator } from '../src/auth/create-authenticator.ts'
import type { VerifySession } from '../src/auth/sessions/app-sessions.ts'
import { createSessionCookies } from '../src/auth/sessions/create-sessions.ts'
import { serve } from './service-under-test.ts'

const SECRET = 'a secret of thirty-two characters'
const SESSION_SECRET = 'another secret of 32 characters or so'
const COOKIE = 'tributary_session'

/** In the order in which they decide. */
const CARRIERS = ['cookie', 'query', 'bearer', 'header'] as const
type Carrier = (typeof CARRIERS)[number]
const STATES = ['absent', 'valid', 'expired', 'bad'] as const
type State = (typeof STATES)[number]
type Carried = Readonly<Record<Carrier, State>>

const encoded = (secret: string) => new TextEncoder().encode(secret)

/** What a carrier holds in a state. Each has a user of its own, named for it. */
function tokenOf(carrier: Carrier, state: State): Promise<string> {
  const isCookie = carrier === 'cookie'
  const end = Math.floor(Date.now() / 1_000) + (state === 'expired' ? -60 : 3_600)
  const ours = isCookie ? { iss: 'tributary', aud: 'tributary:session' } : {}
  return new SignJWT({ sub: carrier, ...ours })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime(end)
    .sign(encoded(state === 'bad' ? 'no secret of anybody, but as long' : isCookie ? SESSION_SECRET : SECRET))
}

interface Setting extends Partial<AuthConfig> {
  readonly verifySession?: VerifySession
}

async function serveWith({ verifySession, ...config }: Setting = {}) {
  const full = {
    NODE_ENV: 'production',
    AUTH_JWT_SECRET: SECRET,
    AUTH_JWT_LEEWAY_S: 5,
    AUTH_ANONYMOUS: false,
    AUTH_ANONYMOUS_GROUPS: [],
    AUTH_SESSION_COOKIE: COOKIE,
    AUTH_SESSION_MAX_AGE_S: 3_600,
    ...config,
  }
  const clock = systemClock
  const sessionCookies = createSessionCookies(full, { key: encoded(SESSION_SECRET), clock })
  return serve({ authenticator: await createAuthenticator(full, { clock, sessionCookies, verifySession }) })
}

async function ask(url: string, carried: Carried, query: readonly string[] = []): Promise<unknown> {
  const held = async (carrier: Carrier, put: (token: string) => [string, string][]) =>
    carried[carrier] === 'absent' ? [] : put(await tokenOf(carrier, carried[carrier]))
  const headers = [
    ...(await held('cookie', (token) => [['cookie', `a=b; ${COOKIE}=${token}; c=d`]])),
    ...(await held('bearer', (token) => [['authorization', `Bearer ${token}`]])),
    ...(await held('header', (token) => [['x-auth-token', token]])),
  ]
  const search = [
    ...(await held('query', (token) => [['token', token]])).map((pair) => pair.join('=')),
    ...query,
  ]
  const answer = await request(`${url}/api/who?${search.join('&')}`, { headers: Object.fromEntries(headers) })
  const body: unknown = await answer.body.json()
  if (typeof body !== 'object' || body === null) return body
  return 'code' in body ? body.code : 'userId' in body ? body.userId : body
}

/** Every way to hold something or not in each of the carriers: 256. */
const COMBINATIONS: Carried[] = STATES.flatMap((cookie) =>
  STATES.flatMap((query) =>
    STATES.flatMap((bearer) => STATES.map((header) => ({ cookie, query, bearer, header }))),
  ),
)

/** What is said of the first that decides. */
function expected(carried: Carried, withoutAny: string): string {
  const explicit = CARRIERS.slice(1).find((carrier) => carried[carrier] !== 'absent')
  const decides = carried.cookie === 'valid' || explicit === undefined ? 'cookie' : explicit
  const said = { absent: withoutAny, valid: decides, expired: 'token_expired', bad: 'token_invalid' }
  return said[carried[decides]]
}

describe('of all carriers, in every combination', () => {
  test('the first that is there decides, and a session that does not count is as none beside another', async () => {
    const { url } = await serveWith()
    for (const carried of COMBINATIONS)
      expect([carried, await ask(url, carried)]).toEqual([carried, expected(carried, 'unauthorized')])
  })

  test('in development too, where who has none of them is dev', async () => {
    const { url } = await serveWith({ NODE_ENV: 'development' })
    for (const carried of COMBINATIONS)
      expect([carried, await ask(url, carried)]).toEqual([carried, expected(carried, 'dev')])
  })

  test('a user in the address comes after them all, in development, and is more than a session that does not count', async () => {
    const { url } = await serveWith({ NODE_ENV: 'development' })
    for (const carried of COMBINATIONS) {
      const { cookie, ...others } = carried
      const isNone = cookie !== 'valid' && Object.values(others).every((state) => state === 'absent')
      const said = isNone ? 'carol' : expected(carried, 'carol')
      expect([carried, await ask(url, carried, ['userId=carol'])]).toEqual([carried, said])
    }
  })

  test('nobody is anonymous who shows anything', async () => {
    const { url } = await serveWith({ AUTH_ANONYMOUS: true })
    for (const carried of COMBINATIONS)
      expect([carried, await ask(url, carried, ['sessionId=s1'])]).toEqual([
        carried,
        expected(carried, 'anonymous:s1'),
      ])
  })
})

const NOTHING: Carried = { cookie: 'absent', query: 'absent', bearer: 'absent', header: 'absent' }

describe('an anonymous stream', () => {
  test('is let in only where the configuration says so, and by a name', async () => {
    const [closed, open] = [await serveWith(), await serveWith({ AUTH_ANONYMOUS: true })]
    expect(await ask(closed.url, NOTHING, ['sessionId=s1'])).toBe('unauthorized')
    expect(await ask(open.url, NOTHING)).toBe('unauthorized')
    for (const query of [
      'sessionId=',
      'sessionId=a&sessionId=b',
      'sessionId=%0a',
      `sessionId=${'x'.repeat(119)}`,
    ])
      expect([query, await ask(open.url, NOTHING, [query])]).toEqual([query, 'invalid_request'])
    expect(await ask(open.url, NOTHING, [`sessionId=${'x'.repeat(118)}`])).toBe(
      `anonymous:${'x'.repeat(118)}`,
    )
  })

  test('has no role, and the groups of the configuration', async () => {
    const { url } = await serveWith({ AUTH_ANONYMOUS: true, AUTH_ANONYMOUS_GROUPS: ['news', 'chat-*'] })
    const answer = await request(`${url}/api/who?sessionId=s1`)
    expect(await answer.body.json()).toEqual({
      userId: 'anonymous:s1',
      roles: [],
      groups: ['news', 'chat-*'],
      method: 'anonymous',
      metadata: {},
    })
  })

  test('is nobody whom a token could name', async () => {
    const { url } = await serveWith({ NODE_ENV: 'development' })
    const token = await new SignJWT({ sub: 'anonymous:s1' })
      .setProtectedHeader({ alg: 'HS256' })
      .setExpirationTime('1h')
      .sign(encoded(SECRET))
    const answer = await request(`${url}/api/who`, { headers: { authorization: `Bearer ${token}` } })
    expect(await answer.body.json()).toMatchObject({ code: 'token_invalid', status: 401 })
    expect(await ask(url, NOTHING, ['userId=anonymous:s1'])).toBe('invalid_request')
  })
})

describe('a token of our own', () => {
  test('for a session is none of another carrier, though one secret signs all', async () => {
    const { url } = await serveWith({ AUTH_JWT_SECRET: SESSION_SECRET })
    const token = await tokenOf('cookie', 'valid')
    const answer = await request(`${url}/api/who`, { headers: { authorization: `Bearer ${token}` } })
    expect(await answer.body.json()).toMatchObject({
      status: 401,
      code: expect.stringMatching(/^token_wrong_/),
    })
  })

  test('of somebody else is no session', async () => {
    const { url } = await serveWith({ AUTH_JWT_SECRET: SESSION_SECRET })
    const token = await new SignJWT({ sub: 'ann' })
      .setProtectedHeader({ alg: 'HS256' })
      .setExpirationTime('1h')
      .sign(encoded(SESSION_SECRET))
    const answer = await request(`${url}/api/who`, { headers: { cookie: `${COOKIE}=${token}` } })
    expect(await answer.body.json()).toMatchObject({ status: 401, code: 'token_wrong_issuer' })
  })
})

describe('an application', () => {
  const verifySession: VerifySession = ({ cookies, headers }) => {
    if (headers['x-fault'] !== undefined) throw new Error('the database is away')
    if (cookies.sid === 'nameless') return { userId: '' }
    return cookies.sid === undefined ? undefined : { userId: cookies.sid, roles: ['ops'], groups: ['g'] }
  }

  test('says itself whose session a request has, after our own', async () => {
    const { url } = await serveWith({ verifySession })
    const answer = await request(`${url}/api/who`, { headers: { cookie: 'sid=ann' } })
    expect(await answer.body.json()).toMatchObject({
      userId: 'ann',
      roles: ['ops'],
      groups: ['g'],
      method: 'session',
    })
    const cookie = `sid=ann; ${COOKIE}=${await tokenOf('cookie', 'valid')}`
    expect(await (await request(`${url}/api/who`, { headers: { cookie } })).body.json()).toMatchObject({
      userId: 'cookie',
    })
    const expired = `sid=ann; ${COOKIE}=${await tokenOf('cookie', 'expired')}`
    expect(
      await (await request(`${url}/api/who`, { headers: { cookie: expired } })).body.json(),
    ).toMatchObject({
      userId: 'ann',
    })
    expect(await ask(url, NOTHING)).toBe('unauthorized')
  })

  test.each<[string, Record<string, string>]>([
    ['that fails', { 'x-fault': '1' }],
    ['that names nobody', { cookie: 'sid=nameless' }],
    ['that names an anonymous user', { cookie: 'sid=anonymous:1' }],
  ])('%s is an error, and lets nobody in', async (_name, headers) => {
    const { url } = await serveWith({ verifySession })
    const bearer = { authorization: `Bearer ${await tokenOf('bearer', 'valid')}` }
    const answer = await request(`${url}/api/who`, { headers: { ...headers, ...bearer } })
    expect(await answer.body.json()).toMatchObject({ status: 500, code: 'internal_error' })
  })
})
