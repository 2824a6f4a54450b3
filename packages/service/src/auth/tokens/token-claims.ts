import { NAME_CHARACTERS, Name, TokenId } from '@tributary/protocol'
import Type, { type Static } from 'typebox'

/** A name, or one that ends with `*` for all that begin so. `*` alone is any. */
const NamePattern = Type.String({ minLength: 1, maxLength: 128, pattern: NAME_CHARACTERS })

/** What may be sent to, as `requireAudience` reads it: a target, or the beginning of targets with a `*` behind. */
export const PublishPattern = Type.String({
  maxLength: 160,
  pattern: '^(?:\\*|all|(?:user|group|role|session|connection):[^\\u0000-\\u001f\\u007f\\ud800-\\udfff]+)$',
})

const Names = Type.Array(Name, { maxItems: 100 })
const NamePatterns = Type.Array(NamePattern, { maxItems: 1_000 })

/** The last second that a Date can hold. */
const LAST_S = 8_640_000_000_000
const Seconds = Type.Integer({ minimum: 0, maximum: LAST_S })

/** The claims of a token that we read, beside the registered ones (RFC 7519, 4.1) that say whether it counts. */
export const TokenClaims = Type.Object({
  /** The user. */
  sub: Name,
  /** Its own id, by which it can be revoked. */
  jti: Type.Optional(TokenId),
  /** Seconds since 1970. */
  exp: Seconds,
  /** Seconds since 1970. */
  iat: Type.Optional(Seconds),
  roles: Type.Optional(Names),
  /** Which groups the user may join. Default: any. */
  groups: Type.Optional(NamePatterns),
  /** What the user may send to, beside what his roles let him. Default: nothing. */
  publish: Type.Optional(Type.Array(PublishPattern, { maxItems: 1_000 })),
  /** What `where` is compared with. */
  metadata: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
})
export type TokenClaims = Static<typeof TokenClaims>
