import type { Server } from 'node:http'
import { request } from 'undici'
import { describe, expect, test } from 'vitest'
import { keptLog, serve } from './service-under-test.ts'

const DEV = { userId: 'dev', roles: ['admin'], method: 'loopback', metadata: {} }
const ANN = { userId: 'ann', roles: ['admin', 'ops'], method: 'static', metadata: {} }
const BOB = { userId: 'bob', roles: [], method: 'static', metadata: {} }
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

async function ask(url: string, headers: Record<string, string> = {}) {
  const answer = await request(url, { headers })
  return { status: answer.statusCode, headers: answer.headers, body: JSON.parse(await answer.body.text()) }
}

describe('a token', () => {
  test.each([
    ['in the query', '?token=t-1', {}, ANN],
    ['as bearer', '', bearer('t-2'), BOB],
    ['as bearer in small letters', '', { authorization: 'bearer t-2' }, BOB],
    ['in its own header', '', { 'x-auth-token': 't-2' }, BOB],
    ['in the query, before the others', '?token=t-1', { ...bearer('t-2'), 'x-auth-token': 't-2' }, ANN],
    ['as bearer, before its own header', '', { ...bearer('t-1'), 'x-auth-token': 't-2' }, ANN],
    [
      'in its own header, beside another Authorization',
      '',
      { authorization: 'Basic eA==', 'x-auth-token': 't-1' },
      ANN,
    ],
  ])('%s says who it is', async (_name, query, headers, principal) => {
    const { url } = await serve({ trustLoopback: false })
    expect((await ask(`${url}/api/who${query}`, headers)).body).toEqual(principal)
  })

  test.each([
    ['in the query', '?token=nope', {}],
    ['that is empty', '?token=', {}],
    ['that comes twice', '?token=t-1&token=t-2', {}],
    ['in the query, with a good one as bearer', '?token=nope', bearer('t-1')],
    ['as bearer, with a good one in its own header', '', { ...bearer('nope'), 'x-auth-token': 't-1' }],
    ['as bearer that is empty', '', { authorization: 'Bearer' }],
    ['in its own header', '', { 'x-auth-token': 'nope' }],
    ['with another case', '?token=T-1', {}],
  ])('that is unknown, %s, is a 401, also from this machine', async (_name, query, headers) => {
    const { url } = await serve()
    const answer = await ask(`${url}/api/who${query}`, headers)
    expect(answer.status).toBe(401)
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8')
    expect(answer.headers['www-authenticate']).toBe('Bearer error="invalid_token"')
    expect(answer.body.code).toBe('token_unknown')
  })

  test('is never logged', async () => {
    const { url, log } = await serve()
    await ask(`${url}/api/who?a=1&token=t-1&b=2`, bearer('t-2'))
    await ask(`${url}/api/who?%74oken=hidden-1`, { 'x-auth-token': 'hidden-2' })
    await expect.poll(() => log.filter(({ msg }) => msg === 'request completed')).toHaveLength(2)
    expect(JSON.stringify(log)).not.toMatch(/t-1|t-2|hidden/)
    expect(JSON.stringify(log)).toContain('a=1&token=[redacted]&b=2')
  })

  test('is cut from headers that somebody logs', () => {
    const { lines, logger } = keptLog()
    logger.info(
      { headers: { authorization: 'Bearer x', cookie: 'x', 'x-auth-token': 'x', accept: 'y' } },
      'headers',
    )
    const censored = '[redacted]'
    expect(lines[0]?.headers).toEqual({
      authorization: censored,
      cookie: censored,
      'x-auth-token': censored,
      accept: 'y',
    })
  })
})

describe('without a token', () => {
  test('a request from this machine is the user dev in development', async () => {
    const { url, port } = await serve()
    expect((await ask(`${url}/api/who`)).body).toEqual(DEV)
    expect((await ask(`${url}/api/who`, { host: `localhost:${port}` })).body).toEqual(DEV)
    expect((await ask(`${url}/api/who`, { origin: 'http://localhost:5173' })).body).toEqual(DEV)
  })

  test('a request over IPv4 in IPv6 and over IPv6 is the user dev too', async () => {
    const { app } = await serve()
    const address = (remoteAddress: string) =>
      app.inject({ url: '/api/who', remoteAddress, headers: { host: '[::1]:80' } })
    expect((await address('::ffff:127.0.0.1')).json()).toEqual(DEV)
    expect((await address('::1')).json()).toEqual(DEV)
    expect((await address('127.8.8.8')).json()).toEqual(DEV)
    expect((await address('10.0.0.1')).json()).toMatchObject({ code: 'unauthorized', status: 401 })
    expect((await address('::ffff:10.0.0.1')).statusCode).toBe(401)
  })

  test.each<[string, Record<string, string>]>([
    ['forwarded by a proxy', { 'x-forwarded-for': '127.0.0.1' }],
    ['forwarded, as the standard says', { forwarded: 'for=127.0.0.1' }],
    ['with another Authorization', { authorization: 'Basic eA==' }],
    ['for another name that points here', { host: 'evil.example:8090' }],
    ['from another origin', { origin: 'https://evil.example' }],
    ['from a sandboxed page', { origin: 'null' }],
    ['from another site', { 'sec-fetch-site': 'cross-site' }],
  ])('a request %s is a 401', async (_name, headers) => {
    const { url } = await serve()
    const answer = await ask(`${url}/api/who`, headers)
    expect(answer.status).toBe(401)
    expect(answer.body.code).toBe('unauthorized')
    expect(answer.headers['www-authenticate']).toBe('Bearer')
  })

  test('a request from this machine that names a user is that user, without a role', async () => {
    const { url } = await serve()
    const carol = { userId: 'carol', roles: [], method: 'loopback', metadata: {} }
    expect((await ask(`${url}/api/who?userId=carol`)).body).toEqual(carol)
    expect((await ask(`${url}/api/who?userId=dev`)).body).toEqual({ ...carol, userId: 'dev' })
    expect((await ask(`${url}/api/who?userId=carol&token=t-2`)).body).toEqual(BOB)
    expect((await ask(`${url}/api/who?userId=carol`, bearer('nope'))).body.code).toBe('token_unknown')
  })

  test.each(['userId=', 'userId=a&userId=b', 'userId=%00', `userId=${'x'.repeat(129)}`])(
    'a request with ?%s is a 400',
    async (query) => {
      const { url } = await serve()
      const { status, body } = await ask(`${url}/api/who?${query}`)
      expect([status, body.code, body.errors[0].path]).toEqual([400, 'invalid_request', 'query/userId'])
    },
  )

  test('a name in the address counts for nothing from elsewhere, and outside development', async () => {
    const { url, app } = await serve()
    expect((await ask(`${url}/api/who?userId=carol`, { origin: 'https://evil.example' })).status).toBe(401)
    const remote = await app.inject({ url: '/api/who?userId=carol', remoteAddress: '10.0.0.1' })
    expect(remote.statusCode).toBe(401)
    const production = await serve({ trustLoopback: false })
    expect((await ask(`${production.url}/api/who?userId=carol`)).body.code).toBe('unauthorized')
    expect((await ask(`${production.url}/api/who?userId=carol&token=t-1`)).body).toEqual(ANN)
  })

  test('a request is a 401 outside development', async () => {
    const { url } = await serve({ trustLoopback: false })
    expect((await ask(`${url}/api/who`)).body).toMatchObject({ status: 401, code: 'unauthorized' })
  })
})

describe('the policy of a route', () => {
  test('none, outside /api, asks nobody', async () => {
    const { url } = await serve({ trustLoopback: false })
    expect((await ask(`${url}/open?token=nope`)).body).toEqual({ principal: null })
  })

  test('optional lets nobody in, but no unknown token', async () => {
    const { url } = await serve({ trustLoopback: false })
    expect((await ask(`${url}/perhaps`)).body).toEqual({ principal: null })
    expect((await ask(`${url}/perhaps?token=t-2`)).body).toEqual({ principal: BOB })
    expect((await ask(`${url}/perhaps?token=nope`)).body.code).toBe('token_unknown')
  })
})

test('a server keeps no limits of its own that the app did not set', async () => {
  const { app } = await serve({ requestTimeoutMs: 5000, headersTimeoutMs: 4000 })
  const server: Server = app.server
  expect([server.requestTimeout, server.headersTimeout, server.timeout]).toEqual([5000, 4000, 0])
})
