import { dataOf, EventCollector, FakeClock, ScriptedUpstream, steps } from '@tributary/testkit'
import { decodeJwt, type JWTPayload, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { postJson, RELAY, runIdOf, startGateway } from './services.ts'

const MANAGED = '/api/sse/managed'
const TOKEN = '/api/auth/sse-token'
const SECRET = 'a secret of thirty-two characters'
const HOUR_MS = 3_600_000
const env = {
  NODE_ENV: 'production',
  AUTH_JWT_SECRET: SECRET,
  STREAM_TIMEOUT_MS: String(100 * HOUR_MS),
  STREAM_MAX_TIMEOUT_MS: String(100 * HOUR_MS),
  RATE_LIMIT_REQUESTS: '0',
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

/** A gateway as in production, on a clock that the test moves. */
async function started(more: Readonly<Record<string, string>> = {}) {
  const clock = new FakeClock()
  const gateway = await startGateway({ env: { ...env, ...more }, clock })
  const nowS = () => Math.floor(clock.now() / 1_000)
  /** A token of the issuer, for two hours. */
  const signed = (claims: JWTPayload = {}) =>
    new SignJWT({ sub: 'ann', iat: nowS(), exp: nowS() + 7_200, ...claims })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(new TextEncoder().encode(SECRET))
  /** The same, that does not say when it was issued. */
  const undated = () =>
    new SignJWT({ sub: 'ann', exp: nowS() + 7_200 })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(new TextEncoder().encode(SECRET))
  const streamToken = async (token: string, method = 'GET') => {
    const answer = await fetch(gateway.url + TOKEN, { method, headers: bearer(token) })
    return { status: answer.status, headers: answer.headers, ...(await answer.json()) }
  }
  const open = async (token: string, query = '') => {
    const reader = await EventCollector.open(`${gateway.url}${MANAGED}/connect?token=${token}${query}`)
    const { emitterId } = await dataOf(reader, 'connection')
    const refresh = (next: string, as = next) =>
      postJson(`${gateway.url}${MANAGED}/connections/${emitterId}/token`, { token: next }, bearer(as))
    return { reader, refresh, emitterId }
  }
  return { clock, gateway, signed, undated, streamToken, open, [Symbol.asyncDispose]: () => gateway.close() }
}

describe('a stream token', () => {
  it('is given to who is signed in, for an hour, and opens his streams as he might himself', async () => {
    await using t = await started()
    const claims = { roles: ['ops'], groups: ['news', 'chat-*'], metadata: { plan: 'pro' }, jti: 'mine' }
    const { status, headers, token, expiresAt } = await t.streamToken(await t.signed(claims))
    expect([status, headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(expiresAt).toBe(t.clock.now() + HOUR_MS)
    const { reader, emitterId } = await t.open(token, '&groups=news,chat-1')
    expect(t.gateway.deps.hub.getConnection(emitterId)?.view()).toMatchObject({
      userId: 'ann',
      roles: ['ops'],
      groups: ['news', 'chat-1'],
      metadata: { plan: 'pro' },
      expiresAt,
    })
    const refused = await fetch(`${t.gateway.url}${MANAGED}/connect?token=${token}&groups=secrets`)
    expect(refused.status).toBe(403)
    await reader.close()
  })

  it('is renewed with itself, but not past the end of what it was got with', async () => {
    await using t = await started()
    const end = t.clock.now() + 2 * HOUR_MS
    let { token } = await t.streamToken(await t.signed())
    for (const hours of [1.5, 2, 2]) {
      t.clock.advance(HOUR_MS / 2)
      const renewed = await t.streamToken(token, 'POST')
      expect(renewed.expiresAt).toBe(Math.min(end, end - 2 * HOUR_MS + hours * HOUR_MS))
      expect(decodeJwt(renewed.token).jti).not.toBe(decodeJwt(token).jti)
      token = renewed.token
    }
    t.clock.advance(HOUR_MS / 2)
    expect(await t.streamToken(token, 'POST')).toMatchObject({ status: 401, code: 'token_expired' })
  })

  it('is given to nobody who is not signed in, and does not exist without a secret', async () => {
    await using t = await started()
    const answer = await fetch(t.gateway.url + TOKEN)
    expect([answer.status, (await answer.json()).code]).toEqual([401, 'unauthorized'])
    const { AUTH_JWT_SECRET: _, ...without } = env
    await using bare = await startGateway({ env: { ...without, AUTH_JWKS_URL: 'http://127.0.0.1:9/jwks' } })
    expect((await fetch(bare.url + TOKEN)).status).toBe(404)
    await using own = await startGateway({ env: { NODE_ENV: 'development' } })
    expect((await fetch(own.url + TOKEN)).status).toBe(200)
  })
})

describe('a stream whose token ends', () => {
  it('is told a minute before, goes on with a new one at once, and ends with that', async () => {
    await using t = await started()
    const first = await t.streamToken(await t.signed({ roles: ['ops'], groups: ['a', 'b'] }))
    const { reader, refresh, emitterId } = await t.open(first.token, '&groups=a,b')
    t.clock.advance(HOUR_MS - 60_000 + 100)
    expect(await dataOf(reader, 'auth_expiring')).toEqual({ expiresAt: first.expiresAt })
    const second = await t.streamToken(
      await t.signed({ roles: ['dev'], groups: ['b', 'c'], metadata: { plan: 'pro' } }),
    )
    const answer = await refresh(second.token, first.token)
    expect([answer.status, await answer.json()]).toEqual([
      200,
      { connectionId: emitterId, groups: ['b'], expiresAt: second.expiresAt },
    ])
    const { hub } = t.gateway.deps
    t.clock.advance(60_000)
    for (const role of ['ops', 'dev']) await hub.publish({ roles: [role] }, 'said', role)
    for (const group of ['a', 'b']) await hub.sendToGroup(group, 'said', group)
    await hub.sendFiltered({ plan: 'pro' }, 'said', 'pro')
    await reader.waitForCount('said', 3)
    expect(reader.ofType('said').map(({ data }) => data)).toEqual(['dev', 'b', 'pro'])
    t.clock.advance(HOUR_MS)
    expect(await dataOf(reader, 'disconnected')).toEqual({ reason: 'token_expired', reconnect: true })
    await reader.ended
    const late = await refresh(second.token, await t.signed())
    expect([late.status, (await late.json()).code]).toEqual([404, 'connection_not_found'])
    const { id } = await hub.sendToUser('ann', 'said', 'later')
    await using again = await EventCollector.open(`${t.gateway.url}${MANAGED}/connect`, {
      headers: { ...bearer(await t.signed()), 'last-event-id': reader.lastEventId ?? '' },
    })
    expect(await again.waitFor('said')).toMatchObject({ id, data: 'later' })
    expect(again.ofType('gap')).toEqual([])
  })

  it('takes no token of another user, none that is bad, and none that ends earlier', async () => {
    await using t = await started()
    const mine = await t.signed()
    const { reader, refresh } = await t.open(mine)
    const codeOf = async (next: string, as = mine) => {
      const answer = await refresh(next, as)
      return [answer.status, (await answer.json()).code]
    }
    const bobs = await t.signed({ sub: 'bob' })
    const admins = await t.signed({ sub: 'root', roles: ['admin'] })
    expect(await codeOf(bobs)).toEqual([403, 'forbidden'])
    expect(await codeOf(mine, bobs)).toEqual([403, 'forbidden'])
    expect(await codeOf(admins, admins)).toEqual([403, 'forbidden'])
    expect(await codeOf('nonsense')).toEqual([401, 'token_invalid'])
    expect(await codeOf(await t.signed({ exp: 1 }))).toEqual([401, 'token_expired'])
    expect(await codeOf((await t.streamToken(mine)).token)).toEqual([409, 'token_ends_earlier'])
    expect(await codeOf(mine)).toEqual([200, undefined])
    const next = await t.signed({ exp: Math.floor(t.clock.now() / 1_000) + 10_000 })
    const both = await Promise.all([refresh(next, mine), refresh(next, mine)])
    expect(both.map(({ status }) => status)).toEqual([200, 200])
    t.clock.advance(2 * HOUR_MS)
    expect(reader.ofType('disconnected')).toEqual([])
    await reader.close()
  })

  it('ends so where it is that of a run, which goes on', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [steps.frame({ event: 'tick', data: 1 })])
    await using t = await started({ RELAY_ALLOWED_ORIGINS: upstream.url })
    const token = await t.signed({ exp: Math.floor(t.clock.now() / 1_000) + 600 })
    await using reader = await EventCollector.open(`${t.gateway.url}${RELAY}?token=${token}`, {
      body: { endpoint: `${upstream.url}/s` },
    })
    await reader.waitFor('tick')
    await using log = await EventCollector.open(
      `${t.gateway.url}/api/runs/${runIdOf(reader)}/events?token=${token}`,
    )
    await log.waitFor('tick')
    t.clock.advance(600_100)
    for (const each of [reader, log]) {
      expect(await dataOf(each, 'disconnected')).toEqual({ reason: 'token_expired', reconnect: true })
      expect(each.ofType('auth_expiring')).toHaveLength(1)
    }
    const view = await fetch(`${t.gateway.url}/api/runs/${runIdOf(reader)}`, {
      headers: bearer(await t.signed()),
    })
    expect(await view.json()).toMatchObject({ status: 'running' })
  })

  it('ends a poll that waits', async () => {
    await using t = await started()
    const token = await t.signed({ exp: Math.floor(t.clock.now() / 1_000) + 5 })
    const url = `${t.gateway.url}/api/realtime/polling?token=${token}&wait=30000`
    const { cursor } = await (await fetch(url)).json()
    const waiting = fetch(`${url}&lastEventId=${cursor}`)
    while (t.gateway.deps.hub.stats().waitingPolls === 0) await new Promise(setImmediate)
    t.clock.advance(5_100)
    expect(await (await waiting).json()).toMatchObject({ events: [], cursor })
  })
})

describe('what is revoked', () => {
  const REVOCATIONS = '/api/auth/revocations'
  const FORCED = { reason: 'forced', reconnect: false, message: 'The token was revoked' }

  /** The same, and an admin who revokes. */
  async function withAdmin() {
    const t = await started()
    const headers = bearer(await t.signed({ sub: 'root', roles: ['admin'] }))
    const url = t.gateway.url + REVOCATIONS
    return {
      ...t,
      headers,
      revoke: async (target: object) => (await postJson(url, target, headers)).json(),
      list: async () => (await fetch(url, { headers })).json(),
      lift: async (query: string) => (await fetch(`${url}?${query}`, { method: 'DELETE', headers })).json(),
      connect: async (token: string) => {
        const answer = await fetch(`${t.gateway.url}${MANAGED}/connect?token=${token}`)
        if (answer.status !== 200) return (await answer.json()).code
        await answer.body?.cancel()
        return 200
      },
    }
  }

  it('of a user ends his streams at once, refuses what he had, and lets him sign in anew', async () => {
    await using t = await withAdmin()
    const old = await t.signed()
    const { token: derived } = await t.streamToken(old)
    const { token: undated } = await t.streamToken(await t.undated())
    const streams = [await t.open(old), await t.open(derived), await t.open(undated)]
    const bob = await t.open(await t.signed({ sub: 'bob' }))
    t.clock.advance(1_000)
    const revokedAt = t.clock.now()
    expect(await t.revoke({ userId: 'ann' })).toMatchObject({
      success: true,
      closed: 3,
      revocation: { userId: 'ann', revokedAt, forgottenAt: revokedAt + 2_592_000_000 },
    })
    for (const { reader } of streams) {
      expect(await dataOf(reader, 'disconnected')).toEqual(FORCED)
      await reader.ended
    }
    for (const token of [old, derived, undated]) {
      expect(await t.connect(token)).toBe('token_revoked')
      expect(await t.streamToken(token, 'POST')).toMatchObject({ status: 401, code: 'token_revoked' })
    }
    await t.gateway.deps.hub.sendToUser('bob', 'said', 1)
    await bob.reader.waitFor('said')
    t.clock.advance(1_000)
    const fresh = await t.signed()
    expect(await t.connect(fresh)).toBe(200)
    expect(await t.connect((await t.streamToken(fresh)).token)).toBe(200)
    await bob.reader.close()
  })

  it('of a token ends its streams, those of what was got with it, and nothing else', async () => {
    await using t = await withAdmin()
    const session = await t.signed({ jti: 'laptop' })
    const other = await t.signed({ jti: 'phone' })
    const { token: derived } = await t.streamToken(session)
    const { token: renewed } = await t.streamToken(derived, 'POST')
    const streams = [await t.open(session), await t.open(derived), await t.open(renewed)]
    const phone = await t.open(other)
    expect(await t.revoke({ tokenId: 'laptop' })).toMatchObject({ closed: 3 })
    for (const { reader } of streams) expect(await dataOf(reader, 'disconnected')).toEqual(FORCED)
    for (const token of [session, derived, renewed]) expect(await t.connect(token)).toBe('token_revoked')
    expect(await t.connect(other)).toBe(200)
    expect(await phone.refresh(session, other).then((answer) => answer.json())).toMatchObject({
      code: 'token_revoked',
    })
    expect(await t.list()).toMatchObject({ revocations: [{ tokenId: 'laptop' }] })
    expect(await t.lift('tokenId=laptop')).toEqual({ success: true })
    expect(await t.connect(session)).toBe(200)
    expect(await t.lift('tokenId=laptop')).toMatchObject({ status: 404, code: 'revocation_not_found' })
    await phone.reader.close()
  })

  it('ends the streams that go on with it, not those that went on without it', async () => {
    await using t = await withAdmin()
    const [old, next] = [await t.signed({ jti: 'old' }), await t.signed({ jti: 'next' })]
    const { reader, refresh } = await t.open(old)
    expect((await refresh(next)).status).toBe(200)
    expect(await t.revoke({ tokenId: 'old' })).toMatchObject({ closed: 0 })
    expect(await t.revoke({ tokenId: 'next' })).toMatchObject({ closed: 1 })
    expect(await dataOf(reader, 'disconnected')).toEqual(FORCED)
  })

  it('refuses a poll that waits', async () => {
    await using t = await withAdmin()
    const url = `${t.gateway.url}/api/realtime/polling?token=${await t.signed()}&wait=30000`
    const { cursor } = await (await fetch(url)).json()
    const waiting = fetch(`${url}&lastEventId=${cursor}`)
    while (t.gateway.deps.hub.stats().waitingPolls === 0) await new Promise(setImmediate)
    await t.revoke({ userId: 'ann' })
    const answer = await waiting
    expect([answer.status, (await answer.json()).code]).toEqual([401, 'token_revoked'])
  })

  it('ends the streams of his runs', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [steps.frame({ event: 'tick', data: 1 })])
    await using t = await started({ RELAY_ALLOWED_ORIGINS: upstream.url })
    await using reader = await EventCollector.open(`${t.gateway.url}${RELAY}?token=${await t.signed()}`, {
      body: { endpoint: `${upstream.url}/s` },
    })
    await reader.waitFor('tick')
    const headers = bearer(await t.signed({ sub: 'root', roles: ['admin'] }))
    await postJson(t.gateway.url + REVOCATIONS, { userId: 'ann' }, headers)
    expect(await dataOf(reader, 'disconnected')).toEqual(FORCED)
  })
})
