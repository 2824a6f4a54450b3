import { systemClock } from '@tributary/protocol'
import { EncryptJWT } from 'jose'

import { describe, expect, test } from 'vitest'
import type { Cookies } from '../src/auth/carriers/credentials.ts'
import { AuthJsSessions } from '../src/auth/sessions/authjs-sessions.ts'
import { encodeAuthJs, encodeNextAuth } from './authjs-encode.js'

const SECRET = 'the secret of an application, as it is told to it'
const CLAIMS = { sub: 'ann', roles: ['ops'], groups: ['chat-*'], name: 'Ann', metadata: { plan: 'pro' } }

const AUTHJS = ['authjs.session-token', '__Secure-authjs.session-token']
const NEXT_AUTH = ['next-auth.session-token', '__Secure-next-auth.session-token']

const read = (cookies: Cookies, secret = SECRET) =>
  new AuthJsSessions({ secret, clock: systemClock }).verify({ query: {}, headers: {}, cookies })

/** What an application sets under a name, by its own library. */
const encoded = (name: string, token: Record<string, unknown> = CLAIMS, maxAge = 3_600) =>
  AUTHJS.includes(name)
    ? encodeAuthJs({ token, secret: SECRET, salt: name, maxAge })
    : encodeNextAuth({ token, secret: SECRET, maxAge })

describe.each([...AUTHJS, ...NEXT_AUTH])('the cookie %s', (name) => {
  test('says who it is, as the library made it', async () => {
    const principal = await read({ [name]: await encoded(name) })
    expect(principal).toMatchObject({
      userId: 'ann',
      method: 'session',
      roles: ['ops'],
      groups: ['chat-*'],
      metadata: { plan: 'pro' },
    })
    expect(principal?.expiresAt).toBeGreaterThan(Date.now())
  })

  test('is put together where it was cut', async () => {
    const token = await encoded(name, { ...CLAIMS, picture: 'x'.repeat(9_000) })
    const chunks = token.match(/.{1,3936}/g) ?? []
    expect(chunks.length).toBeGreaterThan(2)
    const cookies = Object.fromEntries(chunks.map((chunk, index) => [`${name}.${index}`, chunk]))
    expect(await read(cookies)).toMatchObject({ userId: 'ann' })
    await expect(read({ ...cookies, [`${name}.1`]: undefined })).rejects.toMatchObject({
      code: 'token_invalid',
    })
  })

  test('knows a single role by its usual name', async () => {
    expect(await read({ [name]: await encoded(name, { sub: 'ann', role: 'admin' }) })).toMatchObject({
      roles: ['admin'],
    })
  })

  test.each<[string, Record<string, unknown>, number, string]>([
    ['has expired', CLAIMS, -60, 'token_expired'],
    ['has no user', { name: 'Ann' }, 3_600, 'token_invalid'],
    ['has a user that is no name', { sub: 'a\nb' }, 3_600, 'token_invalid'],
    ['has roles that are none', { sub: 'ann', roles: 'admin' }, 3_600, 'token_invalid'],
    ['is of an anonymous user', { sub: 'anonymous:1' }, 3_600, 'token_invalid'],
  ])('does not count where it %s', async (_name, token, maxAge, code) => {
    await expect(read({ [name]: await encoded(name, token, maxAge) })).rejects.toMatchObject({ code })
  })

  test('does not count with another secret, or changed', async () => {
    const token = await encoded(name)
    await expect(read({ [name]: token }, `${SECRET}!`)).rejects.toMatchObject({ code: 'token_invalid' })
    const changed = token.replace(/\.[^.]{4}(?=[^.]*\.[^.]*$)/, '.AAAA')
    await expect(read({ [name]: changed })).rejects.toMatchObject({ code: 'token_invalid' })
  })

  test('does not count under another name, but for the two that share a key', async () => {
    const token = await encoded(name)
    for (const other of [...AUTHJS, ...NEXT_AUTH].filter((one) => one !== name)) {
      const asked = read({ [other]: token })
      if (NEXT_AUTH.includes(name) && NEXT_AUTH.includes(other)) expect(await asked).toBeDefined()
      else await expect(asked).rejects.toMatchObject({ code: 'token_invalid' })
    }
  })
})

test.each([
  ['wrapped by a password', { alg: 'PBES2-HS256+A128KW', enc: 'A256GCM' }],
  ['of a shorter key', { alg: 'dir', enc: 'A128GCM' }],
])('a cookie %s does not count', async (_name, header) => {
  const key = new TextEncoder().encode(SECRET.slice(0, header.enc === 'A128GCM' ? 16 : 32))
  const token = await new EncryptJWT({ sub: 'ann' })
    .setProtectedHeader(header)
    .setExpirationTime('1h')
    .encrypt(key)
  await expect(read({ 'authjs.session-token': token })).rejects.toMatchObject({ code: 'token_invalid' })
})

test.each<[string, Cookies]>([
  ['no cookie', {}],
  ['others', { session: 'x', 'authjs.session-token.1': 'a part without a first' }],
  ['an empty one', { 'authjs.session-token': '' }],
])('%s is no session', async (_name, cookies) => {
  expect(await read(cookies)).toBeUndefined()
})
