import Type from 'typebox'
import { KEY_PAIR_ALGORITHMS, SECRET_ALGORITHMS } from './tokens/jwt-keys.ts'

/** The variables that say who may come in. */
export const authConfig = {
  AUTH_STATIC_TOKENS: Type.Optional(
    Type.String({ description: 'Outside production: `token=user[:role|role];…`.' }),
  ),
  AUTH_JWT_SECRET: Type.Optional(
    Type.String({ minLength: 32, description: 'What tokens are signed with, where no JWKS is used.' }),
  ),
  AUTH_JWKS_URL: Type.Optional(
    Type.String({ format: 'uri', description: 'Where the public keys of tokens are (RFC 7517).' }),
  ),
  AUTH_JWKS_FILE: Type.Optional(Type.String({ minLength: 1, description: 'The same in a file.' })),
  AUTH_JWT_ALGORITHMS: Type.Optional(
    Type.Array(Type.Enum([...SECRET_ALGORITHMS, ...KEY_PAIR_ALGORITHMS]), {
      minItems: 1,
      description:
        'What tokens may be signed by. Default: `HS256` with a secret, `RS256`, `ES256` and `EdDSA` with a JWKS.',
    }),
  ),
  AUTH_JWT_ISSUER: Type.Optional(
    Type.String({ minLength: 1, description: 'The `iss` that a token must have. Default: any.' }),
  ),
  AUTH_JWT_AUDIENCE: Type.Optional(
    Type.String({ minLength: 1, description: 'The `aud` that a token must have. Default: any.' }),
  ),
  AUTH_JWT_LEEWAY_S: Type.Integer({
    minimum: 0,
    maximum: 300,
    default: 5,
    description: "How many seconds the issuer's clock may be off.",
  }),
  AUTH_SESSION_SECRET: Type.Optional(
    Type.String({
      minLength: 32,
      description:
        'What our own session cookies and stream tokens are signed with. Default: `AUTH_JWT_SECRET`; without it a ' +
        'random one, or in production none, and then there are none of them.',
    }),
  ),
  AUTH_SESSION_COOKIE: Type.String({
    pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$",
    default: 'tributary_session',
    description: 'The name of our own session cookie.',
  }),
  AUTH_SESSION_MAX_AGE_S: Type.Integer({
    minimum: 10,
    maximum: 31_536_000,
    default: 28_800,
    description: 'How many seconds a session counts, at most as long as what it was got with.',
  }),
  AUTH_AUTHJS_SECRET: Type.Optional(
    Type.String({
      minLength: 32,
      description: 'The secret of an application with Auth.js or NextAuth, whose session cookies count then.',
    }),
  ),
  AUTH_STREAM_TOKEN_TTL_S: Type.Integer({
    minimum: 10,
    maximum: 86_400,
    default: 3_600,
    description: 'How many seconds a stream token counts, at most as long as what it was got with.',
  }),
  AUTH_STREAM_TOKEN_MAX_AGE_S: Type.Integer({
    minimum: 10,
    maximum: 2_592_000,
    default: 86_400,
    description: 'How many seconds it can be refreshed, from when it was got with something else.',
  }),
  AUTH_EXPIRY_WARNING_MS: Type.Integer({
    minimum: 0,
    maximum: 2_147_483_647,
    default: 60_000,
    description:
      'How long before its token ends a stream is told; a tenth of the time that is left when it gets it, if that is less.',
  }),
  AUTH_REVOCATION_KEPT_S: Type.Integer({
    minimum: 60,
    maximum: 315_360_000,
    default: 2_592_000,
    description: 'How many seconds a revocation holds: no token may count longer.',
  }),
  AUTH_ANONYMOUS: Type.Boolean({
    default: false,
    description: 'Whether a stream may be opened by `?sessionId=` alone.',
  }),
  AUTH_ANONYMOUS_GROUPS: Type.Array(Type.String({ minLength: 1, maxLength: 128 }), {
    default: [],
    description: 'Which groups such a stream may join: names, or `chat-*`.',
  }),
}
