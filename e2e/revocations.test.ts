import { dataOf, EventCollector, ScriptedUpstream, steps } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { postJson, RELAY, startGateway } from './services.ts'
import { bearer, MANAGED, startTokenGateway } from './token-gateway.ts'

describe('what is revoked', () => {
  const REVOCATIONS = '/api/auth/revocations'
  const FORCED = { reason: 'forced', reconnect: false, message: 'The token was revoked' }

  /** The same, and an admin who revokes. */
  async function withAdmin() {
    const t = await startTokenGateway()
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
    await using t = await startTokenGateway({ RELAY_ALLOWED_ORIGINS: upstream.url })
    await using reader = await EventCollector.open(`${t.gateway.url}${RELAY}?token=${await t.signed()}`, {
      body: { endpoint: `${upstream.url}/s` },
    })
    await reader.waitFor('tick')
    const headers = bearer(await t.signed({ sub: 'root', roles: ['admin'] }))
    await postJson(t.gateway.url + REVOCATIONS, { userId: 'ann' }, headers)
    expect(await dataOf(reader, 'disconnected')).toEqual(FORCED)
  })
})

it('an admin of this machine takes back what is revoked, by the name of its user', async () => {
  await using gateway = await startGateway()
  const url = `${gateway.url}/api/auth/revocations`
  expect((await postJson(url, { userId: 'ann' })).status).toBe(200)
  expect((await fetch(`${url}?userId=ann`)).status).toBe(401)
  expect((await fetch(`${url}?userId=ann`, { method: 'DELETE' })).status).toBe(200)
  expect(await (await fetch(url)).json()).toEqual({ revocations: [] })
})
