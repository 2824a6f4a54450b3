import { type Forgery, FUTURE_S, forge } from './tokens.ts'

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

/** Claims of a stream token that would let `user` in. */
export const STREAM_CLAIMS = {
  sub: 'user',
  iss: 'tributary',
  aud: 'tributary:stream',
  exp: FUTURE_S,
  jti: 'forged',
  sid: 'forged',
  session_end: FUTURE_S,
}
/** A stream token of `user`, good but for what is said. */
export const stream = (claims: Readonly<Record<string, unknown>> = {}, more: Forgery = {}) =>
  forge({ ...more, payload: { ...STREAM_CLAIMS, ...claims } })

export const SESSION = { aud: 'tributary:session' }
export const WORKER = { aud: 'tributary:worker' }
/** The key of the workers. */
export const BY_WORKER = { secret: 'another secret of more than 32 characters' }

/** A `Cookie` with such a token. */
export const cookieOf = (claims: object) =>
  `tributary_session=${forge({ payload: { ...STREAM_CLAIMS, ...claims } })}`
