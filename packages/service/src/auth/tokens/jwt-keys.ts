import { readFileSync } from 'node:fs'
import { type Clock, ProblemError } from '@tributary/protocol'
import {
  type CryptoKey,
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from 'jose'

/** The algorithms of a shared secret. */
export const SECRET_ALGORITHMS = ['HS256'] as const
/** The algorithms of a key pair, whose public half is in a JWKS. */
export const KEY_PAIR_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const

export type JwtAlgorithm = (typeof SECRET_ALGORITHMS)[number] | (typeof KEY_PAIR_ALGORITHMS)[number]

/** How long after one reading of a JWKS the next may follow, however many tokens ask for it. */
const COOLDOWN_MS = 30_000
/** A key that is taken out of the JWKS counts no longer than this. */
const MAX_AGE_MS = 600_000
const TIMEOUT_MS = 5_000
const RETRY_AFTER_S = 5
/** More than any issuer has of keys; what is longer is not read to its end. */
const MAX_JWKS_BYTES = 1_048_576

/** A shared secret, made ready once: of the bytes alone jose would make a key for each token. */
export function importSecret(secret: Uint8Array): Promise<CryptoKey> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  return crypto.subtle.importKey('raw', Uint8Array.from(secret), algorithm, false, ['sign', 'verify'])
}

/** The key of a shared secret. */
export function secretKeys(secret: string): JWTVerifyGetKey {
  const key = importSecret(new TextEncoder().encode(secret))
  return () => key
}

/**
 * The keys of a JWKS at a URL: read when the first token comes, and again when one names a key that is new.
 *
 * @param onFault told of each attempt that failed: at most one in 30 s.
 */
export function remoteKeys(
  url: string,
  clock: Clock,
  onFault: (error: unknown) => void = () => undefined,
): JWTVerifyGetKey {
  let failedAtMs = Number.NEGATIVE_INFINITY
  let readAt = Number.NEGATIVE_INFINITY
  const create = () =>
    createRemoteJWKSet(new URL(url), {
      timeoutDuration: TIMEOUT_MS,
      cooldownDuration: COOLDOWN_MS,
      cacheMaxAge: MAX_AGE_MS,
      // Else each token would ask anew while the other side is down, or answers what is no JWKS.
      [customFetch]: async (...request) => {
        if (clock.elapsed() - failedAtMs < COOLDOWN_MS)
          throw new Error('The last attempt failed a moment ago')
        try {
          const jwks = await readJwks(await fetch(...request))
          readAt = clock.now()
          return Response.json(jwks)
        } catch (error) {
          failedAtMs = clock.elapsed()
          onFault(error)
          throw error
        }
      },
    })
  let keys = create()
  return sayingWhatIsMissing((header, token) => {
    // jose goes by the wall clock: set back, it would keep what it has until the clock is there again.
    if (clock.now() < readAt) {
      readAt = Number.NEGATIVE_INFINITY
      keys = create()
    }
    return keys(header, token)
  })
}

/**
 * The keys of a JWKS in a file, which is read again when a token names a key that is new.
 *
 * @throws where the file cannot be read, or is no JWKS.
 */
export function fileKeys(path: string, clock: Clock): JWTVerifyGetKey {
  const read = () => createLocalJWKSet(parseJwks(readFileSync(path, 'utf8')))
  let keys = read()
  let readAtMs = clock.elapsed()
  return sayingWhatIsMissing(async (header, token) => {
    try {
      return await keys(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || clock.elapsed() - readAtMs < COOLDOWN_MS)
        throw error
      readAtMs = clock.elapsed()
      keys = read()
      return keys(header, token)
    }
  })
}

/** The JWKS of an answer. @throws Error where it has none, or more than a JWKS can be. */
async function readJwks(answer: Response): Promise<JSONWebKeySet> {
  if (answer.status !== 200) {
    await answer.body?.cancel()
    throw new Error(`The JWKS was answered with ${answer.status}`)
  }
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > MAX_JWKS_BYTES) throw new Error(`The JWKS has more than ${MAX_JWKS_BYTES} bytes`)
    chunks.push(chunk)
  }
  const jwks = parseJwks(Buffer.concat(chunks).toString())
  createLocalJWKSet(jwks)
  return jwks
}

/** createLocalJWKSet itself looks at what is in it. */
function parseJwks(text: string): JSONWebKeySet {
  return JSON.parse(text)
}

/** What goes wrong in getting the keys is not the token's fault, but where none of them is its own. */
function sayingWhatIsMissing(keys: JWTVerifyGetKey): JWTVerifyGetKey {
  return async (header, token) => {
    try {
      return await keys(header, token)
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
        throw error
      if (error instanceof errors.JOSENotSupported) throw error
      throw new ProblemError(
        'keys_unavailable',
        'The keys that tokens are verified with cannot be had now.',
        {
          retryAfterS: RETRY_AFTER_S,
          cause: error,
        },
      )
    }
  }
}
