import { dataOf, EventCollector, FakeClock } from '@tributary/testkit'
import { type JWTPayload, SignJWT } from 'jose'
import { postJson, startGateway } from './services.ts'

export const MANAGED = '/api/sse/managed'
export const SSE_TOKEN = '/api/auth/sse-token'
export const HOUR_MS = 3_600_000
const SECRET = 'a secret of thirty-two characters'
/** Streams last longer than the tokens here. */
export const TOKEN_ENV = {
  NODE_ENV: 'production',
  AUTH_JWT_SECRET: SECRET,
  STREAM_TIMEOUT_MS: String(100 * HOUR_MS),
  STREAM_MAX_TIMEOUT_MS: String(100 * HOUR_MS),
  RATE_LIMIT_REQUESTS: '0',
}

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

/** A gateway as in production, on a clock that the test moves. */
export async function startTokenGateway(more: Readonly<Record<string, string>> = {}) {
  const clock = new FakeClock()
  const gateway = await startGateway({ env: { ...TOKEN_ENV, ...more }, clock })
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
    const answer = await fetch(gateway.url + SSE_TOKEN, { method, headers: bearer(token) })
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
