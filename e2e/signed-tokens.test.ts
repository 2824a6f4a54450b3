import { EventCollector } from '@tributary/testkit'
import { type JWTPayload, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { postJson, startGateway } from './services.ts'

const CONNECT = '/api/sse/managed/connect'
const SECRET = 'a secret of thirty-two characters'
const env = { NODE_ENV: 'production', AUTH_JWT_SECRET: SECRET, AUTH_JWT_AUDIENCE: 'tributary' }

function signed(claims: JWTPayload, lifetime = '1h', secret = SECRET): Promise<string> {
  return new SignJWT({ sub: 'ann', aud: 'tributary', ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime(lifetime)
    .sign(new TextEncoder().encode(secret))
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

describe('a signed token, in production', () => {
  it('opens the stream of its user, in the groups that it names', async () => {
    await using gateway = await startGateway({ env })
    const token = await signed({ groups: ['news', 'chat-*'], roles: ['ops'], metadata: { plan: 'pro' } })
    await using reader = await EventCollector.open(
      `${gateway.url}${CONNECT}?groups=news,chat-7&token=${token}`,
    )
    await reader.waitFor('connection')
    const [connection] = gateway.deps.hub.local.connections()
    expect(connection?.userId).toBe('ann')
    expect(connection?.metadata).toEqual({ plan: 'pro' })
    expect([...(connection?.groups ?? [])]).toEqual(['news', 'chat-7'])
    expect([...(connection?.roles ?? [])]).toEqual(['ops'])
    const { connectionId = '' } = connection ?? {}
    const path = `${gateway.url}/api/sse/managed/connections/${connectionId}/subscriptions`
    const joined = await postJson(path, { join: ['chat-8'] }, bearer(token))
    expect(joined.status).toBe(200)
    const refused = await postJson(path, { join: ['chat-9', 'secrets'] }, bearer(token))
    expect([refused.status, await refused.json()]).toMatchObject([403, { code: 'forbidden' }])
    expect([...(connection?.groups ?? [])]).toEqual(['news', 'chat-7', 'chat-8'])
  })

  it.each([
    ['/group/secrets', ''],
    ['', '&groups=news,secrets'],
    ['', '&groups=chat'],
  ])('joins no other group: %s%s', async (path, query) => {
    await using gateway = await startGateway({ env })
    const token = await signed({ groups: ['news', 'chat-*'] })
    const answer = await fetch(`${gateway.url}${CONNECT}${path}?token=${token}${query}`)
    expect(answer.status).toBe(403)
    expect(await answer.json()).toMatchObject({
      code: 'forbidden',
      detail: expect.stringContaining('lets you join news, chat-*, not '),
    })
    const poll = await fetch(`${gateway.url}/api/realtime/polling?token=${token}&groups=secrets`)
    expect(poll.status).toBe(403)
    expect(gateway.deps.hub.local.count()).toBe(0)
  })

  it.each<[string, () => Promise<string> | string, string]>([
    ['whose time is over', () => signed({}, '-1h'), 'token_expired'],
    ['for somebody else', () => signed({ aud: 'other' }), 'token_wrong_audience'],
    [
      'of another secret',
      () => signed({}, '1h', 'another secret of more than 32 characters'),
      'token_invalid',
    ],
    ['that is none', () => 'nonsense', 'token_invalid'],
  ])('%s is refused with its reason, whatever stands behind it', async (_name, make, code) => {
    await using gateway = await startGateway({ env })
    const good = bearer(await signed({}))
    const answer = await fetch(`${gateway.url}${CONNECT}?token=${await make()}`, { headers: good })
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toContain('Bearer error="invalid_token"')
    expect(await answer.json()).toMatchObject({ code })
  })
})
