import { readStream } from '@tributary/client'
import { dataOf, EventCollector, ScriptedUpstream, steps } from '@tributary/testkit'
import { decodeJwt } from 'jose'
import { describe, expect, it } from 'vitest'
import { RELAY, runIdOf, startGateway } from './services.ts'
import { bearer, HOUR_MS, MANAGED, SSE_TOKEN, startTokenGateway, TOKEN_ENV } from './token-gateway.ts'

describe('a stream token', () => {
  it('is given to who is signed in, for an hour, and opens his streams as he might himself', async () => {
    await using t = await startTokenGateway()
    const claims = { roles: ['ops'], groups: ['news', 'chat-*'], metadata: { plan: 'pro' }, jti: 'mine' }
    const { status, headers, token, expiresAt } = await t.streamToken(await t.signed(claims))
    expect([status, headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(expiresAt).toBe(t.clock.now() + HOUR_MS)
    const { reader, emitterId } = await t.open(token, '&groups=news,chat-1')
    expect(t.gateway.deps.hub.local.getConnection(emitterId)?.view()).toMatchObject({
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
    await using t = await startTokenGateway()
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
    await using t = await startTokenGateway()
    const answer = await fetch(t.gateway.url + SSE_TOKEN)
    expect([answer.status, (await answer.json()).code]).toEqual([401, 'unauthorized'])
    const { AUTH_JWT_SECRET: _, ...without } = TOKEN_ENV
    await using bare = await startGateway({ env: { ...without, AUTH_JWKS_URL: 'http://127.0.0.1:9/jwks' } })
    expect((await fetch(bare.url + SSE_TOKEN)).status).toBe(404)
    await using own = await startGateway({ env: { NODE_ENV: 'development' } })
    expect((await fetch(own.url + SSE_TOKEN)).status).toBe(200)
  })
})

describe('a stream whose token ends', () => {
  it('is told a minute before, goes on with a new one at once, and ends with that', async () => {
    await using t = await startTokenGateway()
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
    await using t = await startTokenGateway()
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
    await using t = await startTokenGateway({ RELAY_ALLOWED_ORIGINS: upstream.url })
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
    await using t = await startTokenGateway()
    const token = await t.signed({ exp: Math.floor(t.clock.now() / 1_000) + 5 })
    const url = `${t.gateway.url}/api/realtime/polling?token=${token}&wait=30000`
    const { cursor } = await (await fetch(url)).json()
    const waiting = fetch(`${url}&lastEventId=${cursor}`)
    while (t.gateway.deps.hub.stats().waitingPolls === 0) await new Promise(setImmediate)
    t.clock.advance(5_100)
    expect(await (await waiting).json()).toMatchObject({ events: [], cursor })
  })

  it('is kept by the client, with what its supplier gives', async () => {
    await using t = await startTokenGateway()
    const issued = await t.signed()
    const stop = new AbortController()
    const events = readStream({
      url: `${t.gateway.url}${MANAGED}/connect`,
      fetch,
      signal: stop.signal,
      token: async () => (await t.streamToken(issued)).token,
    })
    const { hub } = t.gateway.deps
    const next = async (type: string) => {
      for (;;) {
        const { value } = await events.next()
        if (value === undefined || value.type === type) return value
      }
    }
    await next('connection')
    const [connection] = hub.local.connectionsOfUser('ann')
    const end = connection?.view().expiresAt ?? 0
    t.clock.advance(HOUR_MS - 30_000)
    await next('auth_expiring')
    const refreshed = () => (connection?.view().expiresAt ?? 0) > end
    while (!refreshed()) await new Promise(setImmediate)
    t.clock.advance(HOUR_MS - 60_000)
    await hub.sendToUser('ann', 'said', 'still here')
    expect(await next('said')).toMatchObject({ data: '"still here"' })
    expect(hub.local.connectionsOfUser('ann')).toEqual([connection])
    stop.abort()
  })
})
