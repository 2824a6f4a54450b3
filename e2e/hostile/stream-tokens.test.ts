import { sendBytes } from './answer.ts'
import { bytesOf, type HostileCase } from './hostile-case.ts'
import { inHostileWorld } from './hostile-world.ts'
import { BY_WORKER, bearer, cookieOf, SESSION, STREAM_CLAIMS, stream, WORKER } from './own-tokens.ts'
import { FUTURE_S, forge, GOOD_CLAIMS, PAST_S, tokenOf } from './tokens.ts'

const hostile = inHostileWorld()
const SSE_TOKEN = '/api/auth/sse-token'
const MANAGED = '/api/sse/managed'

const opens = (name: string, token: string, to: 'gateway' | 'worker' = 'gateway'): HostileCase => ({
  name,
  to,
  path: to === 'gateway' ? `${MANAGED}/connect` : '/api/runs',
  headers: bearer(token),
  status: 200,
})
const bears = (name: string, token: string, code: string, to?: 'gateway' | 'worker'): HostileCase => ({
  ...opens(name, token, to),
  status: 401,
  code,
})
hostile('as a stream token', [
  opens('a good one', stream()),
  opens('a good one at a worker', stream(), 'worker'),
  bears('the token of a session', stream(SESSION), 'token_wrong_audience'),
  bears('the token of a session at a worker', stream(SESSION), 'token_wrong_audience', 'worker'),
  bears('what a gateway shows a worker', stream(WORKER, BY_WORKER), 'token_wrong_audience'),
  bears('one for a worker by the key of streams', stream(WORKER), 'token_wrong_audience'),
  bears('one by the key of workers', stream({}, BY_WORKER), 'token_invalid'),
  bears('one by the key of workers at a worker', stream({}, BY_WORKER), 'token_invalid', 'worker'),
  bears('one for a worker by the key of streams, there', stream(WORKER), 'token_invalid', 'worker'),
  bears('one of two purposes', stream({ aud: [STREAM_CLAIMS.aud, SESSION.aud] }), 'token_wrong_audience'),
  bears('one in a list', stream({ aud: [STREAM_CLAIMS.aud] }), 'token_wrong_audience'),
  bears('one without a purpose', stream({ aud: undefined }), 'token_wrong_audience'),
  bears('one in capitals', stream({ aud: 'TRIBUTARY:STREAM' }), 'token_wrong_audience'),
  bears('one with a space', stream({ aud: 'tributary:stream ' }), 'token_wrong_audience'),
  bears('one whose purpose is a number', stream({ aud: 7 }), 'token_wrong_audience'),
  bears("one with the issuer's audience", stream({ aud: GOOD_CLAIMS.aud }), 'token_wrong_audience'),
  bears("one in the issuer's name", stream({ iss: GOOD_CLAIMS.iss }), 'token_wrong_audience'),
  bears('one of two issuers', stream({ iss: ['tributary', GOOD_CLAIMS.iss] }), 'token_wrong_issuer'),
  bears('one in our name in capitals', stream({ iss: 'Tributary' }), 'token_wrong_issuer'),
  bears('one whose time is over', stream({ exp: PAST_S }), 'token_expired'),
  bears('one without an end', stream({ exp: undefined }), 'token_invalid'),
  bears('one without an id', stream({ jti: undefined }), 'token_invalid'),
  bears('one without its sign-in', stream({ sid: undefined }), 'token_invalid'),
  bears('one whose sign-in is a list', stream({ sid: ['a'] }), 'token_invalid'),
  bears('one without the end of its sign-in', stream({ session_end: undefined }), 'token_invalid'),
  bears('one whose sign-in never ends', stream({ session_end: null }), 'token_invalid'),
  bears('one of a user of no name', stream({ sub: '' }), 'token_invalid'),
  bears('one of an anonymous user', stream({ sub: 'anonymous:x' }), 'token_invalid'),
  bears('one of roles that are no list', stream({ roles: 'admin' }), 'token_invalid'),
  bears('one that is not signed', stream({}, { header: { alg: 'none' }, signature: '' }), 'token_invalid'),
  bears('one by HS512', stream({}, { header: { alg: 'HS512' }, hash: 'sha512' }), 'token_invalid'),
  bears('one whose signature is cut', stream().slice(0, -1), 'token_invalid'),
])

const asksFor = (name: string, one: Partial<HostileCase>, status: number, code?: string): HostileCase => ({
  name,
  path: SSE_TOKEN,
  ...one,
  status,
  ...(code === undefined ? {} : { code }),
})
hostile('asking for a stream token', [
  asksFor('without any', {}, 401, 'unauthorized'),
  asksFor('without any, to renew', { method: 'POST' }, 401, 'unauthorized'),
  asksFor('with one whose time is over', { headers: bearer(stream({ exp: PAST_S })) }, 401, 'token_expired'),
  asksFor('with one of a session', { headers: bearer(stream(SESSION)) }, 401, 'token_wrong_audience'),
  asksFor(
    'with one of a worker',
    { headers: bearer(stream(WORKER, BY_WORKER)) },
    401,
    'token_wrong_audience',
  ),
  asksFor(
    'past the end of its sign-in',
    { method: 'POST', headers: bearer(stream({ session_end: PAST_S })) },
    401,
    'token_expired',
  ),
  asksFor('of another user', { as: 'user', path: `${SSE_TOKEN}?userId=admin` }, 200),
  asksFor('by DELETE', { as: 'user', method: 'DELETE' }, 405, 'method_not_allowed'),
  asksFor('at a worker', { as: 'user', to: 'worker' }, 404, 'not_found'),
])

/** Gives the stream of `healthy` another token, or what is none. */
const gives = (
  name: string,
  body: unknown,
  [status, code]: [number, string],
  as = tokenOf('healthy'),
): HostileCase => ({
  name,
  status,
  code,
  request: ({ gateway }) => {
    const [connection] = gateway.deps.hub.local.connectionsOfUser('healthy')
    const path = `${MANAGED}/connections/${connection?.connectionId}/token`
    return sendBytes(gateway.url, bytesOf({ name, path, body, headers: bearer(as), status }, tokenOf))
  },
})
const token = tokenOf('healthy')
const INVALID: [number, string] = [400, 'invalid_request']

hostile('giving a stream', [
  gives('the token of another user', { token: tokenOf('user') }, [403, 'forbidden']),
  gives('the token of an admin', { token: tokenOf('admin') }, [403, 'forbidden']),
  gives('his token, by another user', { token }, [403, 'forbidden'], tokenOf('user')),
  gives("another's token, by an admin", { token: tokenOf('admin') }, [403, 'forbidden'], tokenOf('admin')),
  gives('the token of his session', { token: stream({ ...SESSION, sub: 'healthy' }) }, [
    401,
    'token_wrong_audience',
  ]),
  gives('one for a worker', { token: stream({ ...WORKER, sub: 'healthy' }, BY_WORKER) }, [
    401,
    'token_wrong_audience',
  ]),
  gives('one that is over', { token: stream({ sub: 'healthy', exp: PAST_S }) }, [401, 'token_expired']),
  gives('one that ends earlier', { token: stream({ sub: 'healthy', exp: FUTURE_S - 1 }) }, [
    409,
    'token_ends_earlier',
  ]),
  gives('one of a forged key', { token: forge({ claims: { sub: 'healthy' }, secret: 'x' }) }, [
    401,
    'token_invalid',
  ]),
  gives('a development token', { token: 'test-token' }, [401, 'token_invalid']),
  gives('nothing', {}, INVALID),
  gives('an empty token', { token: '' }, INVALID),
  gives('a number', { token: 7 }, INVALID),
  gives('a list of tokens', { token: [token] }, INVALID),
  gives('a token of 9,000 characters', { token: 'x'.repeat(9_000) }, INVALID),
  gives('a token and roles', { token, roles: ['admin'] }, INVALID),
  gives('a token and a user', { token, userId: 'user' }, INVALID),
  {
    name: 'that is not there a token',
    as: 'user',
    path: `${MANAGED}/connections/nobody/token`,
    body: { token: tokenOf('user') },
    status: 404,
    code: 'connection_not_found',
  },
])

const ADMINS = stream({ roles: ['admin', 'publisher'], publish: ['*'] })
const NOTE = { event: 'forged', data: 1 }
const admins = (method: string, path: string, body?: unknown, to?: 'worker'): HostileCase => ({
  name: `${method} ${path}`,
  ...(to === undefined ? {} : { to }),
  method,
  path,
  headers: bearer(ADMINS),
  ...(body === undefined ? {} : { body }),
  status: 403,
  code: 'forbidden',
})
hostile('with the stream token of an admin', [
  opens('connecting', ADMINS),
  opens('reading runs at a worker', ADMINS, 'worker'),
  admins('POST', '/api/sse', NOTE),
  admins('POST', `${MANAGED}/send/user/user`, NOTE),
  admins('POST', `${MANAGED}/send/filtered`, { ...NOTE, where: { plan: 'pro' } }),
  admins('POST', `${MANAGED}/broadcast`, NOTE),
  admins('POST', `${MANAGED}/broadcast/group/g`, NOTE),
  admins('POST', '/api/realtime/test', { type: 'forged', target: 'broadcast' }),
  admins('GET', `${MANAGED}/status`),
  admins('GET', `${MANAGED}/connections`),
  admins('DELETE', `${MANAGED}/connections`),
  admins('GET', '/api/sse/metrics'),
  admins('GET', '/api/realtime/monitor'),
  admins('POST', '/api/sse/health', { action: 'health_check' }),
  admins('POST', '/api/auth/revocations', { userId: 'user' }),
  admins('GET', '/api/auth/revocations'),
  admins('POST', '/api/auth/revocations', { userId: 'user' }, 'worker'),
])

hostile('as a session cookie', [
  {
    name: 'a stream token',
    path: `${MANAGED}/connect`,
    headers: { cookie: cookieOf({}) },
    status: 401,
    code: 'token_wrong_audience',
  },
  {
    name: 'one for a worker',
    path: `${MANAGED}/connect`,
    headers: { cookie: `tributary_session=${stream(WORKER, BY_WORKER)}` },
    status: 401,
    code: 'token_invalid',
  },
])
