import { FakeClock } from '@tributary/testkit'
import { SignJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import type { Credentials } from '../carriers/credentials.ts'
import { createAuthenticator } from '../create-authenticator.ts'
import { type WorkerSecretConfig, WorkerTokens, workerTokens, workerTokenVerifier } from './worker-tokens.ts'

const SECRET = 'a secret of thirty-two characters'
const NOW = Date.UTC(2026, 4, 1)
const PRODUCTION = { NODE_ENV: 'production', WORKER_SECRET: SECRET }
const BASE = { AUTH_JWT_LEEWAY_S: 5, AUTH_ANONYMOUS: false, AUTH_ANONYMOUS_GROUPS: [] }
const ALICE = { userId: 'alice', roles: ['ops'] }

const bearing = (token: string, remoteAddress = '127.0.0.1', headers = {}): Credentials => ({
  query: {},
  headers: { authorization: `Bearer ${token}`, ...headers },
  socket: { remoteAddress },
})

const worker = (config: WorkerSecretConfig, clock = new FakeClock(NOW), more = {}) =>
  createAuthenticator(
    { ...BASE, ...config, ...more },
    { clock, workerTokens: workerTokenVerifier(config, clock) },
  )
const tokenOf = (secret = SECRET, clock = new FakeClock(NOW)) => new WorkerTokens({ secret, clock }).of(ALICE)

describe('what the gateway shows its workers', () => {
  test('says on whose behalf it asks, and by default its own', async () => {
    const authenticator = await worker(PRODUCTION)
    const tokens = new WorkerTokens({ secret: SECRET, clock: new FakeClock(NOW) })
    expect(await authenticator.authenticate(bearing(await tokens.of(ALICE)))).toMatchObject({
      ...ALICE,
      method: 'worker',
    })
    expect(await authenticator.authenticate(bearing(await tokens.of()))).toMatchObject({
      userId: 'gateway',
      roles: ['admin'],
      method: 'worker',
    })
  })

  test('is signed once for many requests of the same, anew after a while, and never shared', async () => {
    const clock = new FakeClock(NOW)
    const tokens = new WorkerTokens({ secret: SECRET, clock })
    const first = await tokens.of(ALICE)
    expect(await tokens.of({ ...ALICE })).toBe(first)
    expect(await tokens.of({ ...ALICE, roles: [] })).not.toBe(first)
    expect(await tokens.of({ ...ALICE, userId: 'bob' })).not.toBe(first)
    clock.advance(20_000)
    expect(await tokens.of(ALICE)).not.toBe(first)
  })

  test.each([
    ['at once', 0, undefined],
    ['with the clocks a minute apart', 60_000, undefined],
    ['with the clock of the gateway a minute ahead', -60_000, undefined],
    ['no more after its minute and the leeway', 90_000, 'token_expired'],
  ])('counts %s', async (_name, laterMs, code) => {
    const authenticator = await worker(PRODUCTION, new FakeClock(NOW + laterMs))
    const asked = authenticator.authenticate(bearing(await tokenOf()))
    if (code === undefined) expect(await asked).toMatchObject({ userId: 'alice' })
    else await expect(asked).rejects.toMatchObject({ code })
  })

  test('does not count where it is signed with another secret, or by another algorithm', async () => {
    const authenticator = await worker(PRODUCTION)
    const other = await tokenOf('another secret of more than 32 characters')
    await expect(authenticator.authenticate(bearing(other))).rejects.toMatchObject({ code: 'token_invalid' })
    const hs512 = await new SignJWT({})
      .setProtectedHeader({ alg: 'HS512' })
      .setIssuer('tributary')
      .setAudience('tributary:worker')
      .setSubject('alice')
      .setExpirationTime(NOW / 1_000 + 60)
      .sign(new TextEncoder().encode(SECRET.repeat(2)))
    await expect(authenticator.authenticate(bearing(hs512))).rejects.toMatchObject({ code: 'token_invalid' })
  })

  test('is no token of a user, also where both are signed with one secret', async () => {
    const clock = new FakeClock(NOW)
    const gateway = await createAuthenticator(
      { ...BASE, NODE_ENV: 'production', AUTH_JWT_SECRET: SECRET },
      { clock },
    )
    await expect(gateway.authenticate(bearing(await tokenOf()))).rejects.toMatchObject({
      code: 'token_wrong_audience',
    })
  })

  test.each(['tributary:stream', 'tributary:session', 'tributary'])(
    'cannot be made of a token for %s of the same secret',
    async (audience) => {
      const authenticator = await worker(PRODUCTION)
      const token = await new SignJWT({ roles: ['admin'] })
        .setProtectedHeader({ alg: 'HS256' })
        .setIssuer('tributary')
        .setAudience(audience)
        .setSubject('alice')
        .setExpirationTime(NOW / 1_000 + 60)
        .sign(new TextEncoder().encode(SECRET))
      await expect(authenticator.authenticate(bearing(token))).rejects.toMatchObject({
        code: 'token_wrong_audience',
      })
    },
  )

  test('is not the secret itself', async () => {
    const authenticator = await worker(PRODUCTION)
    await expect(authenticator.authenticate(bearing(SECRET))).rejects.toMatchObject({ code: 'token_unknown' })
  })

  test('is signed with nothing in production where no secret is set', () => {
    const config = { NODE_ENV: 'production' }
    const clock = new FakeClock(NOW)
    expect(workerTokens(config, clock)).toBeUndefined()
    expect(workerTokenVerifier(config, clock)).toBeUndefined()
  })

  test('needs no secret in development, on one machine', async () => {
    const config = { NODE_ENV: 'development' }
    const authenticator = await worker(config)
    const token = await workerTokens(config, new FakeClock(NOW))?.of(ALICE)
    expect(await authenticator.authenticate(bearing(token ?? ''))).toMatchObject({ userId: 'alice' })
    for (const strange of [
      bearing(token ?? '', '192.0.2.1'),
      bearing(token ?? '', '127.0.0.1', { 'x-forwarded-for': '192.0.2.1' }),
      bearing(token ?? '', '127.0.0.1', { origin: 'https://evil.example' }),
    ]) {
      await expect(authenticator.authenticate(strange)).rejects.toMatchObject({
        code: 'token_wrong_audience',
      })
    }
    const production = await worker(PRODUCTION)
    await expect(production.authenticate(bearing(token ?? ''))).rejects.toMatchObject({
      code: 'token_invalid',
    })
  })
})
