import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dataOf, EventCollector } from '@tributary/testkit'
import { SignJWT } from 'jose'
import { expect, it } from 'vitest'
import { startGateway, startWorker } from './processes.ts'
import { postJson } from './services.ts'

const SECRET = 'a secret of thirty-two characters'
const env = { NODE_ENV: 'production', AUTH_JWT_SECRET: SECRET, WORKER_SECRET: SECRET.repeat(2) }
const REVOCATIONS = '/api/auth/revocations'

const nowS = Math.floor(Date.now() / 1_000)
const signed = (sub: string, roles: string[] = [], iat = nowS - 60) =>
  new SignJWT({ sub, roles, iat, exp: nowS + 3_600, jti: `of-${sub}` })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(SECRET))
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

it.each([
  ['gateway', startGateway, '/api/sse/managed/connect'],
  ['worker', startWorker, '/api/runs'],
] as const)(
  'what is revoked at a %s is so when it has been killed and started again',
  async (_, start, path) => {
    const cwd = await mkdtemp(join(tmpdir(), 'revoked-'))
    const ask = async (url: string, token: string) => {
      const answer = await fetch(url + path, { headers: bearer(token) })
      if (answer.status === 200) {
        await answer.body?.cancel()
        return 200
      }
      return (await answer.json()).code
    }
    const [ann, bob, carl] = [await signed('ann'), await signed('bob'), await signed('carl')]
    const admin = bearer(await signed('root', ['admin']))
    const first = await start({ cwd, env })
    try {
      expect([await ask(first.url, ann), await ask(first.url, bob)]).toEqual([200, 200])
      await postJson(first.url + REVOCATIONS, { userId: 'ann' }, admin)
      await postJson(first.url + REVOCATIONS, { tokenId: 'of-bob' }, admin)
      await postJson(first.url + REVOCATIONS, { userId: 'carl' }, admin)
      await fetch(`${first.url}${REVOCATIONS}?userId=carl`, { method: 'DELETE', headers: admin })
    } finally {
      await first.kill()
    }
    await using again = await start({ cwd, env })
    const codes = await Promise.all([ann, bob, carl].map((token) => ask(again.url, token)))
    expect(codes).toEqual(['token_revoked', 'token_revoked', 200])
    expect(await ask(again.url, await signed('ann', [], nowS + 60))).toBe('token_not_yet_valid')
    const list = await (await fetch(again.url + REVOCATIONS, { headers: admin })).json()
    expect(list.revocations).toMatchObject([{ tokenId: 'of-bob' }, { userId: 'ann' }])
    await again.kill()
    await rm(cwd, { recursive: true, force: true })
  },
)

it('a revocation ends the stream of a reader at a gateway of its own process', async () => {
  await using gateway = await startGateway({ env })
  await using reader = await EventCollector.open(`${gateway.url}/api/sse/managed/connect`, {
    headers: bearer(await signed('ann')),
  })
  await reader.waitFor('connection')
  await postJson(gateway.url + REVOCATIONS, { userId: 'ann' }, bearer(await signed('root', ['admin'])))
  expect(await dataOf(reader, 'disconnected')).toMatchObject({ reason: 'forced', reconnect: false })
  await reader.ended
})
