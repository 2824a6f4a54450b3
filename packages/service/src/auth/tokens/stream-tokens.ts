import { type Clock, ProblemError, TokenId } from '@tributary/protocol'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { Principal } from '../principal.ts'
import { principalOfClaims, refusal } from './jwt-verifier.ts'
import { STREAM_AUDIENCE } from './own-token.ts'
import { OwnTokenKind } from './own-token-kind.ts'
import { TokenClaims } from './token-claims.ts'

/** As long as a token may be that is looked at. */
const MAX_TOKEN_LENGTH = 8_192

/** What ours have beside what any token has. Seconds since 1970. */
const StreamTokenClaims = Type.Object({
  ...TokenClaims.properties,
  jti: TokenId,
  /** What all that were refreshed from one another share: the id of what the first was got with, or its own. */
  sid: TokenId,
  /** When that ends, or may no longer be lived on. */
  session_end: Type.Integer(),
  /** When that was issued, where it said so. */
  auth_time: Type.Optional(Type.Integer()),
})
const claimsCheck = Compile(StreamTokenClaims)

export interface StreamTokensOptions {
  readonly key: Uint8Array
  readonly clock: Clock
  /** How long one counts, in seconds. Default 3,600. */
  readonly ttlS?: number
  /** How long it can be refreshed, from when it was got with something else, in seconds. Default 86,400. */
  readonly maxAgeS?: number
}

/** A token as its caller gets it. */
export interface StreamToken {
  readonly token: string
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

/** Short-lived tokens of our own, for who is signed in already: a stream's address should hold nothing better. */
export class StreamTokens {
  readonly #options: StreamTokensOptions
  readonly #kind: OwnTokenKind

  constructor(options: StreamTokensOptions) {
    const { key, clock } = options
    this.#options = options
    this.#kind = new OwnTokenKind({
      key,
      audience: STREAM_AUDIENCE,
      clock,
      principalOf: principalOfStreamToken,
    })
  }

  /** Whom one stands for. @throws ProblemError as `JwtVerifier.verify`. */
  verify(token: string): Promise<Principal> {
    return this.#kind.verify(token)
  }

  /**
   * One that gives a principal no more than he has: his rights, and no time beyond the end of what he signed in with.
   * One that is got with another of ours stands in its place, and moves neither that end nor what it is revoked by.
   *
   * @throws ProblemError `token_expired` where that has ended; `payload_too_large` where he has more than a token holds.
   */
  async issue(principal: Principal): Promise<StreamToken> {
    const { clock, ttlS = 3_600, maxAgeS = 86_400 } = this.#options
    const now = Math.floor(clock.now() / 1_000)
    const tokenId = globalThis.crypto.randomUUID()
    const signIn = principal.signIn ?? {
      tokenId: principal.tokenId ?? tokenId,
      endsAt: Math.min(principal.expiresAt ?? Number.POSITIVE_INFINITY, (now + maxAgeS) * 1_000),
    }
    const end = Math.floor(signIn.endsAt / 1_000)
    if (end <= now) throw refusal('token_expired', 'Its time is over')
    const exp = Math.min(now + ttlS, end)
    const token = await this.#kind.sign({
      ...rightsOf(principal),
      sub: principal.userId,
      jti: tokenId,
      iat: now,
      exp,
      sid: signIn.tokenId,
      session_end: end,
      ...(principal.issuedAt === undefined ? {} : { auth_time: Math.floor(principal.issuedAt / 1_000) }),
    })
    if (token.length <= MAX_TOKEN_LENGTH) return { token, expiresAt: exp * 1_000 }
    throw new ProblemError(
      'payload_too_large',
      `Your roles, groups and metadata make a token of more than ${MAX_TOKEN_LENGTH} characters; have fewer.`,
    )
  }
}

function rightsOf({ roles, groups, metadata }: Principal) {
  return {
    roles,
    metadata,
    ...(groups === undefined ? {} : { groups }),
  }
}

function principalOfStreamToken(payload: unknown): Principal {
  if (!claimsCheck.Check(payload)) throw refusal('token_invalid', 'Its claims are not as they must be')
  const { iat: _, auth_time, sid, session_end, ...claims } = payload
  return {
    // Of before a revocation is also what was got, a moment later, with what is of before it.
    ...principalOfClaims({ ...claims, ...(auth_time === undefined ? {} : { iat: auth_time }) }),
    signIn: { tokenId: sid, endsAt: session_end * 1_000 },
  }
}

/** What a configuration says of stream tokens. */
export interface StreamTokenConfig {
  readonly AUTH_STREAM_TOKEN_TTL_S: number
  readonly AUTH_STREAM_TOKEN_MAX_AGE_S: number
}

/** Those that a configuration asks for; none without a key to sign them with. */
export function createStreamTokens(
  { AUTH_STREAM_TOKEN_TTL_S: ttlS, AUTH_STREAM_TOKEN_MAX_AGE_S: maxAgeS }: StreamTokenConfig,
  { key, clock }: { readonly key: Uint8Array | undefined; readonly clock: Clock },
): StreamTokens | undefined {
  return key === undefined ? undefined : new StreamTokens({ key, clock, ttlS, maxAgeS })
}
