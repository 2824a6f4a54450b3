import { systemClock } from '@tributary/protocol'
import { SignJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import type { Credentials } from './carriers/credentials.ts'
import { type AuthConfig, createAuthenticator } from './create-authenticator.ts'

const SECRET = 'a secret of thirty-two characters'
const BASE: AuthConfig = {
  NODE_ENV: 'production',
  AUTH_JWT_LEEWAY_S: 5,
  AUTH_ANONYMOUS: false,
  AUTH_ANONYMOUS_GROUPS: [],
}

const bearing = (token: string): Credentials => ({
  query: {},
  headers: { authorization: `Bearer ${token}` },
  socket: { remoteAddress: '127.0.0.1' },
})
const create = (config: Partial<AuthConfig>) =>
  createAuthenticator({ ...BASE, ...config }, { clock: systemClock })
const signed = (alg = 'HS256') =>
  new SignJWT({ sub: 'ann' })
    .setProtectedHeader({ alg })
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRET.repeat(2)))

describe('createAuthenticator', () => {
  test('takes tokens that are signed with the secret, in production too', async () => {
    const authenticator = await create({ AUTH_JWT_SECRET: SECRET.repeat(2) })
    expect(await authenticator.authenticate(bearing(await signed()))).toMatchObject({
      userId: 'ann',
      method: 'token',
    })
  })

  test('takes no other algorithm of the same secret', async () => {
    const authenticator = await create({ AUTH_JWT_SECRET: SECRET.repeat(2) })
    await expect(authenticator.authenticate(bearing(await signed('HS512')))).rejects.toMatchObject({
      code: 'token_invalid',
    })
  })

  test('looks a token up among the static ones before it is verified', async () => {
    const authenticator = await create({
      NODE_ENV: 'development',
      AUTH_STATIC_TOKENS: 'abc=bob',
      AUTH_JWT_SECRET: SECRET,
    })
    expect((await authenticator.authenticate(bearing('abc'))).userId).toBe('bob')
    await expect(authenticator.authenticate(bearing('nope'))).rejects.toMatchObject({ code: 'token_invalid' })
  })

  test('without keys knows no token but the static ones', async () => {
    const authenticator = await create({ NODE_ENV: 'development' })
    await expect(authenticator.authenticate(bearing(await signed()))).rejects.toMatchObject({
      code: 'token_unknown',
    })
  })

  test.each<[string, Partial<AuthConfig>, string]>([
    [
      'a secret beside a JWKS',
      { AUTH_JWT_SECRET: SECRET, AUTH_JWKS_URL: 'https://example.org/jwks' },
      'AUTH_JWT_SECRET and AUTH_JWKS_URL are set; leave all but one out',
    ],
    [
      'an algorithm of key pairs beside a secret',
      { AUTH_JWT_SECRET: SECRET, AUTH_JWT_ALGORITHMS: ['HS256', 'RS256'] },
      'AUTH_JWT_ALGORITHMS: RS256 is none of AUTH_JWT_SECRET; that verifies HS256',
    ],
    [
      'an algorithm of secrets beside a JWKS',
      { AUTH_JWKS_URL: 'https://example.org/jwks', AUTH_JWT_ALGORITHMS: ['HS256'] },
      'AUTH_JWT_ALGORITHMS: HS256 is none of a JWKS; that verifies RS256, ES256, EdDSA',
    ],
    [
      'a password for public keys',
      { AUTH_JWKS_URL: 'https://user:hidden@example.org/jwks' },
      'AUTH_JWKS_URL must hold no user and password; public keys need none',
    ],
    ['a file that is not there', { AUTH_JWKS_FILE: '/nowhere/jwks.json' }, 'AUTH_JWKS_FILE: ENOENT'],
    [
      'the name under which we sign as that of the issuer',
      { AUTH_JWT_SECRET: SECRET, AUTH_JWT_ISSUER: 'tributary' },
      'AUTH_JWT_ISSUER must not be tributary',
    ],
    [
      'production in which nobody could come in',
      { AUTH_ANONYMOUS: true },
      'One of AUTH_JWT_SECRET, AUTH_JWKS_URL, AUTH_JWKS_FILE, AUTH_SESSION_SECRET, AUTH_AUTHJS_SECRET must be set',
    ],
    ['static tokens in production', { AUTH_STATIC_TOKENS: 'a=b' }, 'AUTH_STATIC_TOKENS must not be set'],
  ])('refuses %s, and says what to change', async (_name, config, message) => {
    await expect(create(config)).rejects.toThrow(message)
  })
})
