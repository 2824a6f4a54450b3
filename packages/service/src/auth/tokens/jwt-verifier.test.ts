import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeClock } from '@tributary/testkit'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { describe, expect, onTestFinished, test } from 'vitest'
import { fileKeys, remoteKeys, secretKeys } from './jwt-keys.ts'
import { JwtVerifier, type JwtVerifierOptions } from './jwt-verifier.ts'

const SECRET = 'a secret of thirty-two characters'
const START_S = 1_700_000_000
const CLAIMS = { sub: 'ann', exp: START_S + 60, iss: 'issuer', aud: 'tributary' }

const encoded = (text: string) => new TextEncoder().encode(text)
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

function signed(claims: JWTPayload, secret = SECRET, header = {}): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'HS256', ...header }).sign(encoded(secret))
}

function verifierOf(options: Partial<JwtVerifierOptions> = {}) {
  const clock = new FakeClock(START_S * 1_000)
  const verifier = new JwtVerifier({
    keys: secretKeys(SECRET),
    algorithms: ['HS256'],
    issuer: 'issuer',
    audience: 'tributary',
    clock,
    ...options,
  })
  return { clock, verifier }
}

async function keyPair(kid: string, alg = 'RS256') {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }
  const sign = (claims: JWTPayload = CLAIMS) =>
    new SignJWT(claims).setProtectedHeader({ alg, kid }).sign(privateKey)
  return { jwk, sign, publicKey }
}

/** A real server of a JWKS, which can be told what to answer. */
async function jwksServer(keys: object[]) {
  const state = { keys, status: 200, asked: 0 }
  const server = createServer((_request, response) => {
    state.asked += 1
    response.writeHead(state.status, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ keys: state.keys }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { state, url: `http://127.0.0.1:${address.port}/jwks` }
}

describe('a signed token', () => {
  test('stands for whom it names, with all it says of him', async () => {
    const { verifier } = verifierOf()
    const token = await signed({
      ...CLAIMS,
      jti: 't1',
      iat: START_S,
      roles: ['ops'],
      groups: ['a', 'b*'],
      metadata: { plan: 'pro' },
    })
    expect(await verifier.verify(token)).toEqual({
      userId: 'ann',
      roles: ['ops'],
      method: 'token',
      metadata: { plan: 'pro' },
      expiresAt: CLAIMS.exp * 1_000,
      issuedAt: START_S * 1_000,
      tokenId: 't1',
      groups: ['a', 'b*'],
    })
  })

  test.each<[string, () => Promise<string> | string, string]>([
    ['that is no token', () => 'nonsense', 'token_invalid'],
    ['of three empty parts', () => '..', 'token_invalid'],
    ['of another secret', () => signed(CLAIMS, 'another secret of more than 32 characters'), 'token_invalid'],
    ['that is not signed at all', () => `${part({ alg: 'none' })}.${part(CLAIMS)}.`, 'token_invalid'],
    ['whose claims were changed', async () => tampered(await signed(CLAIMS)), 'token_invalid'],
    ['without a time', () => signed({ sub: 'ann', iss: 'issuer', aud: 'tributary' }), 'token_invalid'],
    ['without a user', () => signed({ ...CLAIMS, sub: '' }), 'token_invalid'],
    ['with a user that is no name', () => signed({ ...CLAIMS, sub: 'a\nb' }), 'token_invalid'],
    ...Object.entries({
      sub: '\ud800',
      jti: '\ud800',
      roles: ['\ud800'],
      groups: ['\udc00*'],
      publish: ['user:\ud800'],
    }).map(([claim, value]): [string, () => Promise<string>, string] => [
      `with half of a surrogate pair in "${claim}"`,
      () => signed({ ...CLAIMS, [claim]: value }),
      'token_invalid',
    ]),
    ['with roles that are no list', () => signed({ ...CLAIMS, roles: 'admin' }), 'token_invalid'],
    ['with metadata that is a list', () => signed({ ...CLAIMS, metadata: ['x'] }), 'token_invalid'],
    ['whose time is over', () => signed({ ...CLAIMS, exp: START_S - 6 }), 'token_expired'],
    ['whose time has not begun', () => signed({ ...CLAIMS, nbf: START_S + 6 }), 'token_not_yet_valid'],
    ['that is issued in the future', () => signed({ ...CLAIMS, iat: START_S + 6 }), 'token_not_yet_valid'],
    ['of another issuer', () => signed({ ...CLAIMS, iss: 'somebody' }), 'token_wrong_issuer'],
    ['for somebody else', () => signed({ ...CLAIMS, aud: 'other' }), 'token_wrong_audience'],
    ['of 9,000 characters', () => signed({ ...CLAIMS, x: 'x'.repeat(9_000) }), 'token_invalid'],
    [
      'with an extension that must be understood',
      () =>
        signed(CLAIMS, SECRET, { crit: ['x'], x: 1 }).catch(
          () => `${part({ alg: 'HS256', crit: ['x'], x: 1 })}.${part(CLAIMS)}.AAAA`,
        ),
      'token_invalid',
    ],
  ])('%s is refused', async (_name, make, code) => {
    const { verifier } = verifierOf()
    await expect(verifier.verify(await make())).rejects.toMatchObject({ code, statusCode: 401 })
  })

  test('counts within the leeway, on both sides of its time', async () => {
    const { verifier } = verifierOf()
    await verifier.verify(await signed({ ...CLAIMS, exp: START_S - 4 }))
    await verifier.verify(await signed({ ...CLAIMS, nbf: START_S + 4 }))
    await verifier.verify(await signed({ ...CLAIMS, iat: START_S + 4 }))
  })

  test('is remembered until its time is over, and no longer', async () => {
    const { clock, verifier } = verifierOf()
    const token = await signed(CLAIMS)
    expect(await verifier.verify(token)).toBe(await verifier.verify(token))
    await clock.advance(66_000)
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'token_expired' })
  })
})

describe('the keys of a JWKS', () => {
  const algorithms = ['RS256', 'ES256', 'EdDSA'] as const

  test.each(algorithms)('verify %s, each by its id', async (alg) => {
    const [one, two] = [await keyPair('one', alg), await keyPair('two', alg)]
    const { url } = await jwksServer([one.jwk, two.jwk])
    const { verifier } = verifierOf({ keys: remoteKeys(url, new FakeClock()), algorithms })
    expect((await verifier.verify(await one.sign())).userId).toBe('ann')
    expect((await verifier.verify(await two.sign())).userId).toBe('ann')
  })

  test('do not let their public half sign as a secret', async () => {
    const pair = await keyPair('one')
    const { url } = await jwksServer([pair.jwk])
    const { verifier } = verifierOf({ keys: remoteKeys(url, new FakeClock()), algorithms })
    const swapped = await signed(CLAIMS, JSON.stringify(pair.jwk), { kid: 'one' })
    await expect(verifier.verify(swapped)).rejects.toMatchObject({ code: 'token_invalid' })
  })

  test('are asked for once for many tokens, and once more for a key that is new', async () => {
    const [old, fresh, foreign] = [await keyPair('old'), await keyPair('new'), await keyPair('foreign')]
    const { state, url } = await jwksServer([old.jwk])
    const { verifier } = verifierOf({ keys: remoteKeys(url, new FakeClock()), algorithms })
    for (let n = 0; n < 5; n++) await verifier.verify(await old.sign({ ...CLAIMS, jti: String(n) }))
    expect(state.asked).toBe(1)
    state.keys = [old.jwk, fresh.jwk]
    for (let n = 0; n < 5; n++) {
      await expect(verifier.verify(await foreign.sign({ ...CLAIMS, jti: String(n) }))).rejects.toMatchObject({
        code: 'token_invalid',
      })
    }
    expect(state.asked).toBeLessThanOrEqual(2)
  })

  test('are said to be missing where they cannot be had, and are not asked for at each token', async () => {
    const pair = await keyPair('one')
    const { state, url } = await jwksServer([pair.jwk])
    state.status = 500
    const clock = new FakeClock()
    const { verifier } = verifierOf({ keys: remoteKeys(url, clock), algorithms })
    for (let n = 0; n < 5; n++) {
      await expect(verifier.verify(await pair.sign())).rejects.toMatchObject({
        code: 'keys_unavailable',
        statusCode: 503,
      })
    }
    expect(state.asked).toBe(1)
    state.status = 200
    await clock.advance(30_000)
    expect((await verifier.verify(await pair.sign())).userId).toBe('ann')
  })

  test('in a file are read again for a key that is new', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'jwks-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'jwks.json')
    const [old, fresh] = [await keyPair('old'), await keyPair('new')]
    writeFileSync(path, JSON.stringify({ keys: [old.jwk] }))
    const clock = new FakeClock()
    const { verifier } = verifierOf({ keys: fileKeys(path, clock), algorithms })
    await verifier.verify(await old.sign())
    writeFileSync(path, JSON.stringify({ keys: [fresh.jwk] }))
    await expect(verifier.verify(await fresh.sign())).rejects.toMatchObject({ code: 'token_invalid' })
    await clock.advance(30_000)
    expect((await verifier.verify(await fresh.sign())).userId).toBe('ann')
  })

  test('in a file that is none are an error at once', () => {
    expect(() => fileKeys(join(tmpdir(), 'there-is-none.json'), new FakeClock())).toThrow('ENOENT')
  })
})

function tampered(token: string): string {
  const [head, , signature] = token.split('.')
  return `${head}.${part({ ...CLAIMS, roles: ['admin'] })}.${signature}`
}
