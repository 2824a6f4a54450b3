import { postJson } from '../services.ts'
import { sendBytes } from './answer.ts'
import { type Attacked, bytesOf, type HostileCase } from './hostile-case.ts'
import { inHostileWorld } from './hostile-world.ts'
import { bearer, cookieOf, SESSION, stream } from './own-tokens.ts'
import { FUTURE_S, forge, PAST_S, tokenOf } from './tokens.ts'

const hostile = inHostileWorld()
const SSE_TOKEN = '/api/auth/sse-token'
const REVOCATIONS = '/api/auth/revocations'
const MANAGED = '/api/sse/managed'

const revokes = (name: string, body: unknown, status: number, code?: string): HostileCase => ({
  name,
  as: 'admin',
  path: REVOCATIONS,
  body,
  status,
  ...(code === undefined ? {} : { code }),
})

hostile('revoking', [
  { name: 'as nobody', path: REVOCATIONS, body: { userId: 'healthy' }, status: 401, code: 'unauthorized' },
  { ...revokes('as a user', { userId: 'healthy' }, 403, 'forbidden'), as: 'user' },
  { ...revokes('oneself, as a user', { userId: 'user' }, 403, 'forbidden'), as: 'user' },
  { ...revokes('as a publisher', { userId: 'healthy' }, 403, 'forbidden'), as: 'publisher' },
  { ...revokes('at a worker, as a user', { userId: 'healthy' }, 403, 'forbidden'), as: 'user', to: 'worker' },
  revokes('nobody', {}, 400, 'invalid_request'),
  revokes('a user and a token', { userId: 'a', tokenId: 'b' }, 400, 'invalid_request'),
  revokes('a list of users', { userId: ['healthy'] }, 400, 'invalid_request'),
  revokes('a pattern that is a list', { userId: { $ne: 1 } }, 400, 'invalid_request'),
  revokes('a user of no name', { userId: '' }, 400, 'invalid_request'),
  revokes('a user of a split line', { userId: 'a\nb' }, 400, 'invalid_request'),
  revokes('a user of 200 characters', { userId: 'x'.repeat(200) }, 400, 'invalid_request'),
  revokes('a token of 257 characters', { tokenId: 'x'.repeat(257) }, 400, 'invalid_request'),
  revokes('more than that', { userId: 'a', until: 0 }, 400, 'invalid_request'),
  revokes('a user whose name all objects have', { userId: '__proto__' }, 200),
  revokes('a user whose name is a pattern', { userId: '*' }, 200),
  revokes('a user who is a part of another', { userId: 'healt' }, 200),
  revokes('a token that is named as a user', { tokenId: 'healthy' }, 200),
  {
    name: 'back what is not',
    as: 'admin',
    method: 'DELETE',
    path: `${REVOCATIONS}?userId=nobody`,
    status: 404,
    code: 'revocation_not_found',
  },
  {
    name: 'back all',
    as: 'admin',
    method: 'DELETE',
    path: REVOCATIONS,
    status: 400,
    code: 'invalid_request',
  },
  { name: 'to see', as: 'user', path: REVOCATIONS, status: 403, code: 'forbidden' },
])

/** Revokes, then asks with what was revoked. */
const revoked = (
  name: string,
  target: object,
  one: Partial<HostileCase>,
  [status, code]: [number, string?] = [401, 'token_revoked'],
): HostileCase => ({
  name,
  status,
  ...(code === undefined ? {} : { code }),
  request: async (attacked) => {
    await postJson(attacked.gateway.url + REVOCATIONS, target, bearer(tokenOf('admin')))
    return sendBytes(
      attacked.gateway.url,
      bytesOf({ path: `${MANAGED}/connect`, ...one, name, status }, tokenOf),
    )
  },
})
const GONE = { userId: 'gone' }
const ofGone = forge({ claims: { sub: 'gone', iat: PAST_S } })
const undated = forge({ claims: { sub: 'gone' } })
const streamOfGone = stream({ sub: 'gone', auth_time: PAST_S })
const lost = stream({ jti: 'renewed', sid: 'lost' })

hostile('what is revoked', [
  revoked('of a user, in a header', GONE, { headers: bearer(ofGone) }),
  revoked('of a user, in X-Auth-Token', GONE, { headers: { 'x-auth-token': ofGone } }),
  revoked('of a user, in an address', GONE, { path: `${MANAGED}/connect?token=${ofGone}` }),
  revoked('of a user, as a stream token', GONE, { headers: bearer(streamOfGone) }),
  revoked('of a user, undated', GONE, { headers: bearer(undated) }),
  revoked('of a user, for a poll', GONE, { path: `/api/realtime/polling?token=${ofGone}` }),
  revoked('of a user, for a stream token', GONE, { path: SSE_TOKEN, headers: bearer(ofGone) }),
  revoked('of a user, to renew one', GONE, {
    path: SSE_TOKEN,
    method: 'POST',
    headers: bearer(streamOfGone),
  }),
  revoked('of a user, for his runs', GONE, { path: '/api/runs', headers: bearer(ofGone) }),
  revoked('of a user who is an admin besides', GONE, {
    path: REVOCATIONS,
    headers: bearer(forge({ claims: { sub: 'gone', roles: ['admin'], iat: PAST_S } })),
  }),
  revoked('of a user, with an end of his stream', GONE, {
    headers: { ...bearer(ofGone), 'last-event-id': '1-1.closed' },
  }),
  revoked('of a user, beside a good header', GONE, {
    path: `${MANAGED}/connect?token=${ofGone}`,
    headers: bearer(tokenOf('user')),
  }),
  revoked(
    'of a user, issued in the future',
    GONE,
    { headers: bearer(forge({ claims: { sub: 'gone', iat: FUTURE_S - 1 } })) },
    [401, 'token_not_yet_valid'],
  ),
  revoked('of a token', { tokenId: 'stolen' }, { headers: bearer(forge({ claims: { jti: 'stolen' } })) }),
  revoked('of a token that it was got with', { tokenId: 'lost' }, { headers: bearer(lost) }),
  revoked(
    'of a token, in a session cookie',
    { tokenId: 'lost' },
    { headers: { cookie: cookieOf({ ...SESSION, jti: 'lost' }) } },
  ),
  revoked(
    'of a cookie, beside a good header',
    { tokenId: 'lost' },
    { headers: { cookie: cookieOf({ ...SESSION, jti: 'lost' }), ...bearer(tokenOf('user')) } },
    [200],
  ),
  revoked(
    'of another',
    { tokenId: 'FORGED' },
    { headers: bearer(stream({ jti: 'forged', sid: 'forge' })) },
    [200],
  ),
])

const giveRevoked = async ({ gateway }: Attacked) => {
  const [connection] = gateway.deps.hub.local.connectionsOfUser('healthy')
  const next = forge({ claims: { sub: 'healthy', jti: 'stolen' } })
  await postJson(gateway.url + REVOCATIONS, { tokenId: 'stolen' }, bearer(tokenOf('admin')))
  const path = `${MANAGED}/connections/${connection?.connectionId}/token`
  const headers = bearer(tokenOf('healthy'))
  return sendBytes(
    gateway.url,
    bytesOf({ name: '', path, headers, body: { token: next }, status: 0 }, tokenOf),
  )
}
hostile('an open stream', [
  { name: 'given a revoked token', request: giveRevoked, status: 401, code: 'token_revoked' },
])
