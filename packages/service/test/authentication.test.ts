import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { ProblemError } from '@tributary/protocol'
import { fastify } from 'fastify'
import { SignJWT } from 'jose'
import { expect, onTestFinished, test } from 'vitest'
import type { AskedRequest } from '../src/auth/carriers/asked-request.ts'
import { type AuthenticationOptions, Authentications } from '../src/auth/index.ts'

const SECRET = 'a secret of thirty-two characters'
const PRODUCTION = { NODE_ENV: 'production', AUTH_JWT_SECRET: SECRET, CORS_ORIGINS: 'https://pages.example' }
const URL_OF_APP = 'https://app.example/notes'

const open = (options: Partial<AuthenticationOptions> = {}) =>
  Authentications.open({ env: PRODUCTION, ...options })
const tokenOf = (sub: string) =>
  new SignJWT({ sub, roles: ['ops', 'admin'], groups: ['g'] })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRET))

const ANN = { authenticated: true, userId: 'ann', method: 'token', userRole: 'ops', roles: ['ops', 'admin'] }

/** What an app of a kind knows of a request that is sent to it. */
const KINDS: Record<string, (auth: Authentications, path: string, init: RequestInit) => Promise<unknown>> = {
  'Web Request': (auth, path, init) => auth.authenticate(new Request(`https://app.example${path}`, init)),
  'request of Node': async (auth, path, init) => {
    const server = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    const answer = fetch(`http://127.0.0.1:${port}${path}`, init)
    const [request, response]: [IncomingMessage, { end(): void }] = Object.assign(
      await once(server, 'request'),
    )
    response.end()
    await answer
    return auth.authenticate(request)
  },
  'request of Fastify': async (auth, path, init) => {
    const app = fastify()
    onTestFinished(() => app.close())
    const seen = Promise.withResolvers<AskedRequest>()
    app.all('/*', async (request) => seen.resolve(request))
    await fetch((await app.listen({ port: 0 })) + path, init)
    return auth.authenticate(await seen.promise)
  },
}

test.each(Object.keys(KINDS))('says who a %s is from', async (kind) => {
  const ask = (path: string, init: RequestInit = {}) => KINDS[kind]?.(auth, path, init)
  const auth = await open()
  const token = await tokenOf('ann')
  const cookie = (await auth.issueSessionCookie({ userId: 'cora', roles: ['reader'] })).split(';')[0] ?? ''
  expect(await ask(`/?a=b&token=${token}`)).toMatchObject(ANN)
  expect(await ask('/', { headers: { authorization: `Bearer ${token}` } })).toMatchObject(ANN)
  expect(await ask('/', { headers: { 'x-auth-token': token } })).toMatchObject(ANN)
  expect(await ask('/', { headers: { cookie } })).toMatchObject({
    authenticated: true,
    userId: 'cora',
    method: 'session',
    userRole: 'reader',
  })
  expect(await ask(`/?token=${token}&token=${token}`)).toMatchObject({
    authenticated: false,
    error: { code: 'token_unknown', statusCode: 401 },
  })
  expect(await ask('/')).toMatchObject({ authenticated: false, error: { code: 'unauthorized' } })
  expect(
    await ask('/', { method: 'POST', headers: { cookie, origin: 'https://evil.example' } }),
  ).toMatchObject({
    authenticated: false,
    error: { code: 'cross_site_refused', statusCode: 403 },
  })
  expect(
    await ask('/', { method: 'POST', headers: { cookie, origin: 'https://pages.example' } }),
  ).toMatchObject({
    userId: 'cora',
  })
})

test('a write with a session comes from its own page, by the address of a Web Request without a Host', async () => {
  const auth = await open({ verifySession: () => ({ userId: 'ann' }) })
  const from = (origin: string) =>
    auth.authenticate(new Request(URL_OF_APP, { method: 'POST', headers: { origin } }))
  expect(await from('https://app.example')).toMatchObject({
    userId: 'ann',
    method: 'session',
    userRole: undefined,
  })
  expect(await from('https://evil.example')).toMatchObject({ authenticated: false })
})

test('who is anonymous is told by a name, and is not authenticated', async () => {
  const auth = await open({ env: { ...PRODUCTION, AUTH_ANONYMOUS: 'true' } })
  expect(await auth.authenticate(new Request(`${URL_OF_APP}?sessionId=s1`))).toMatchObject({
    authenticated: false,
    userId: 'anonymous:s1',
    method: 'anonymous',
    error: expect.any(ProblemError),
  })
})

test('a request of this machine is dev in development, where its address is known', async () => {
  const auth = await open({ env: {} })
  const request = new Request('http://localhost:3000/')
  expect(await auth.authenticate(request)).toMatchObject({ authenticated: false })
  expect(await auth.authenticate(request, '10.0.0.1')).toMatchObject({ authenticated: false })
  expect(await auth.authenticate(request, '127.0.0.1')).toMatchObject({ userId: 'dev', method: 'loopback' })
})

test('a session cookie holds who it is for, until its end, and is sent over https alone in production', async () => {
  const user = { userId: 'ann', groups: ['g-*'], metadata: { plan: 'pro' }, expiresAt: Date.now() + 60_000 }
  const [production, development] = [await open(), await open({ env: { AUTH_SESSION_SECRET: SECRET } })]
  const setCookie = await production.issueSessionCookie(user)
  expect(setCookie).toMatch(
    /^tributary_session=[\w.-]+; Path=\/; Expires=[^;]+; HttpOnly; Secure; SameSite=Lax$/,
  )
  expect(await development.issueSessionCookie(user)).not.toContain('Secure')
  const cookie = setCookie.split(';')[0] ?? ''
  expect(await production.authenticate(new Request(URL_OF_APP, { headers: { cookie } }))).toMatchObject({
    userId: 'ann',
    groups: ['g-*'],
    metadata: { plan: 'pro' },
    expiresAt: Math.floor(user.expiresAt / 1_000) * 1_000,
  })
  await expect(
    production.issueSessionCookie({ userId: 'ann', metadata: { x: 'y'.repeat(4_000) } }),
  ).rejects.toThrow('do not fit into a cookie')
  await expect(production.issueSessionCookie({ userId: 'anonymous:1' })).rejects.toThrow(TypeError)
})

test('session cookies need a secret', async () => {
  const auth = await open({ env: { NODE_ENV: 'production', AUTH_JWKS_URL: 'https://id.example/jwks' } })
  await expect(auth.issueSessionCookie({ userId: 'ann' })).rejects.toThrow('AUTH_SESSION_SECRET must be set')
  expect(() => auth.clearSessionCookie()).toThrow('AUTH_SESSION_SECRET')
})

test('faults of the variables are told', async () => {
  await expect(open({ env: { AUTH_JWT_SECRET: 'short' } })).rejects.toThrow(
    'AUTH_JWT_SECRET must be text of at least 32',
  )
  await expect(open({ env: { NODE_ENV: 'production' } })).rejects.toThrow('One of AUTH_JWT_SECRET')
})
