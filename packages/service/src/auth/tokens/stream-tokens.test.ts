import { FakeClock } from '@tributary/testkit'
import { decodeJwt, type JWTPayload, SignJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import type { Principal } from '../principal.ts'
import { secretKeys } from './jwt-keys.ts'
import { JwtVerifier } from './jwt-verifier.ts'
import { StreamTokens } from './stream-tokens.ts'

const START_S = 1_700_000_000
const START = START_S * 1_000
const SECRET = 'a secret of thirty-two characters'
const KEY = new TextEncoder().encode(SECRET)
const ANN: Principal = {
  userId: 'ann',
  roles: ['ops'],
  method: 'token',
  metadata: { plan: 'pro' },
  groups: ['news', 'chat-*'],
  tokenId: 'origin',
  issuedAt: START - 60_000,
  expiresAt: START + 7_200_000,
}

function streamTokens() {
  const clock = new FakeClock(START)
  return { clock, tokens: new StreamTokens({ key: KEY, clock }) }
}

const signed = (claims: JWTPayload, key = KEY, alg = 'HS256') =>
  new SignJWT(claims).setProtectedHeader({ alg }).sign(key)

describe('a stream token', () => {
  test('stands for whom it was given to, with all he may and nothing more, for an hour', async () => {
    const { tokens } = streamTokens()
    const { token, expiresAt } = await tokens.issue(ANN)
    expect(expiresAt).toBe(START + 3_600_000)
    expect(await tokens.verify(token)).toEqual({
      ...ANN,
      expiresAt,
      tokenId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      signIn: { tokenId: 'origin', endsAt: ANN.expiresAt },
    })
  })

  test('is over to the second', async () => {
    const { clock, tokens } = streamTokens()
    const { token } = await tokens.issue(ANN)
    clock.advance(3_599_000)
    await tokens.verify(token)
    clock.advance(1_000)
    await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'token_expired' })
  })

  test('ends with what it was got with, however often it is refreshed', async () => {
    const { clock, tokens } = streamTokens()
    let principal = ANN
    const ends: number[] = []
    for (let n = 0; n < 4; n++) {
      const { token, expiresAt } = await tokens.issue(principal)
      ends.push((expiresAt - START) / 60_000)
      principal = await tokens.verify(token)
      expect(principal).toMatchObject({ issuedAt: ANN.issuedAt, signIn: { tokenId: 'origin' } })
      clock.advance(1_800_000)
    }
    expect(ends).toEqual([60, 90, 120, 120])
    await expect(tokens.issue(principal)).rejects.toMatchObject({ code: 'token_expired' })
  })

  test('is refreshed for a day where what it was got with has no end', async () => {
    const { clock, tokens } = streamTokens()
    const { tokenId: _, issuedAt: __, expiresAt: ___, ...endless } = ANN
    const first = await tokens.verify((await tokens.issue(endless)).token)
    expect(first.signIn).toEqual({ tokenId: first.tokenId, endsAt: START + 86_400_000 })
    expect(first).not.toHaveProperty('issuedAt')
    clock.advance(86_399_000)
    expect((await tokens.issue(first)).expiresAt).toBe(START + 86_400_000)
    clock.advance(1_000)
    await expect(tokens.issue(first)).rejects.toMatchObject({ code: 'token_expired' })
  })

  test('is not given to who has more than it can hold', async () => {
    const { tokens } = streamTokens()
    const much = { ...ANN, metadata: { text: 'x'.repeat(7_000) } }
    await expect(tokens.issue(much)).rejects.toMatchObject({ code: 'payload_too_large' })
  })

  const claims = {
    iss: 'tributary',
    aud: 'tributary:stream',
    sub: 'ann',
    jti: 'a',
    sid: 'a',
    exp: START_S + 60,
    session_end: START_S + 60,
  }
  test.each<[string, () => Promise<string>, string]>([
    ['of a session', () => signed({ ...claims, aud: 'tributary:session' }), 'token_wrong_audience'],
    ['for a worker', () => signed({ ...claims, aud: 'tributary:worker' }), 'token_wrong_audience'],
    ['for nobody', () => signed({ ...claims, aud: [] }), 'token_wrong_audience'],
    ['of another issuer', () => signed({ ...claims, iss: 'issuer' }), 'token_wrong_issuer'],
    ['of another key', () => signed(claims, new Uint8Array(32)), 'token_invalid'],
    ['of another algorithm', () => signed(claims, new Uint8Array(64), 'HS512'), 'token_invalid'],
    ['without an end of its session', () => signed({ ...claims, session_end: undefined }), 'token_invalid'],
    ['without an id', () => signed({ ...claims, jti: '' }), 'token_invalid'],
    ['whose end is no time', () => signed({ ...claims, session_end: 'never' }), 'token_invalid'],
  ])('%s is refused', async (_name, make, code) => {
    const { tokens } = streamTokens()
    await tokens.verify(await signed(claims))
    await expect(tokens.verify(await make())).rejects.toMatchObject({ code, statusCode: 401 })
  })

  test('is none of the issuer who has the same secret', async () => {
    const { clock, tokens } = streamTokens()
    const verifier = new JwtVerifier({ keys: secretKeys(SECRET), algorithms: ['HS256'], clock })
    const { token } = await tokens.issue(ANN)
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'token_wrong_issuer' })
    expect(decodeJwt(token)).toMatchObject({ iss: 'tributary', aud: 'tributary:stream' })
  })
})
