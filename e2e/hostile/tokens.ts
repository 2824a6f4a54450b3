import { createHmac } from 'node:crypto'

/** What the tokens of the hostile suite are signed with, and what they must say. */
export const SECRET = 'a secret of thirty-two characters'
export const ISSUER = 'https://id.example.org'
export const AUDIENCE = 'tributary'

/** Who there is, beside somebody without a token. `healthy` reads the stream that must miss nothing. */
export type Who = 'user' | 'other' | 'publisher' | 'admin' | 'healthy'

/** Long ago and far ahead, so that no clock matters; seconds since 1970. */
export const PAST_S = 1_000_000_000
export const FUTURE_S = 4_000_000_000

export const base64url = (value: string | Uint8Array) => Buffer.from(value).toString('base64url')
const part = (value: unknown) => base64url(typeof value === 'string' ? value : JSON.stringify(value))

/** Claims that would let `user` in. */
export const GOOD_CLAIMS = { sub: 'user', iss: ISSUER, aud: AUDIENCE, exp: FUTURE_S }

export interface Forgery {
  /** Instead of `{alg: 'HS256', typ: 'JWT'}`; a string as it is. */
  readonly header?: unknown
  /** Beside `GOOD_CLAIMS`; `undefined` takes one away. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** Instead of all claims; a string as it is. */
  readonly payload?: unknown
  readonly secret?: string | Uint8Array
  /** Default `sha256`. */
  readonly hash?: string
  /** Instead of the signature. */
  readonly signature?: string
}

/** A token made by hand, good but for what is said: the libraries that verify tokens would not make most of these. */
export function forge({ header, claims, payload, secret, hash, signature }: Forgery = {}): string {
  const signed = `${part(header ?? { alg: 'HS256', typ: 'JWT' })}.${part(payload ?? { ...GOOD_CLAIMS, ...claims })}`
  const good = () =>
    createHmac(hash ?? 'sha256', secret ?? SECRET)
      .update(signed)
      .digest('base64url')
  return `${signed}.${signature ?? good()}`
}

/** A good token. */
export function tokenOf(who: Who): string {
  const roles = who === 'publisher' || who === 'admin' ? [who] : []
  return forge({ claims: { sub: who, roles } })
}
