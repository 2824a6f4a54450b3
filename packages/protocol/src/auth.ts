import Type, { type Static } from 'typebox'
import { Acknowledged } from './connection-view.ts'
import { Name, TokenId } from './name.ts'

/** A token for streams, of who is signed in already. */
export const StreamTokenAnswer = Type.Object(
  {
    token: Type.String(),
    expiresAt: Type.Number({ description: 'Milliseconds since 1970.' }),
  },
  { title: 'StreamToken' },
)
export type StreamTokenAnswer = Static<typeof StreamTokenAnswer>

/** The token that an open stream is to go on with. */
export const ConnectionTokenRequest = Type.Object(
  { token: Type.String({ minLength: 1, maxLength: 8_192 }) },
  { additionalProperties: false },
)
export type ConnectionTokenAnswer = Static<typeof ConnectionTokenAnswer>
export const ConnectionTokenAnswer = Type.Object({
  connectionId: Type.String(),
  groups: Type.Array(Type.String(), { description: 'Those that it is still in.' }),
  expiresAt: Type.Optional(Type.Number({ description: 'When it ends now; in milliseconds since 1970.' })),
})

/** Whose tokens, or which one, count no more: one of the two. */
export const RevocationTarget = Type.Object(
  { userId: Type.Optional(Name), tokenId: Type.Optional(TokenId) },
  { additionalProperties: false },
)
export type RevocationTarget = Static<typeof RevocationTarget>

export const RevocationView = Type.Object(
  {
    userId: Type.Optional(Type.String()),
    tokenId: Type.Optional(Type.String()),
    revokedAt: Type.Number({
      description: 'Milliseconds since 1970. Of a user, what was issued later counts.',
    }),
    forgottenAt: Type.Number({ description: 'When it holds no longer.' }),
  },
  { title: 'Revocation' },
)
export type RevocationView = Static<typeof RevocationView>

export const RevocationAnswer = Type.Object({
  success: Type.Literal(true),
  closed: Type.Integer({ description: 'Streams that were ended for it, at all nodes.' }),
  revocation: RevocationView,
  acknowledged: Acknowledged,
  unreachable: Type.Optional(
    Type.Array(Type.String(), {
      description: 'Nodes that could not be told. Those that live read it themselves within seconds.',
    }),
  ),
})

export const DEFAULT_REVOCATION_LIMIT = 100
export const RevocationListQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
  after: Type.Optional(Type.String({ maxLength: 300, description: 'The `next` of the page before.' })),
})
export const RevocationList = Type.Object({
  revocations: Type.Array(RevocationView),
  next: Type.Optional(Type.String()),
})
