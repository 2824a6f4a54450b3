import type { Clock } from '@tributary/protocol'
import type { JWTVerifyGetKey } from 'jose'
import { ConfigError, fromVariable } from '../config-error.ts'
import { Authenticator } from './authenticator.ts'
import {
  fileKeys,
  type JwtAlgorithm,
  KEY_PAIR_ALGORITHMS,
  remoteKeys,
  SECRET_ALGORITHMS,
  secretKeys,
} from './jwt-keys.ts'
import { JwtVerifier } from './jwt-verifier.ts'
import { OWN_ISSUER } from './own-token.ts'
import { readStaticTokens, type StaticTokens } from './static-tokens.ts'
import type { StreamTokens } from './stream-tokens.ts'

/** What a configuration says of authentication. */
export interface AuthConfig {
  readonly NODE_ENV: string
  readonly AUTH_STATIC_TOKENS?: string
  readonly AUTH_JWT_SECRET?: string
  readonly AUTH_JWKS_URL?: string
  readonly AUTH_JWKS_FILE?: string
  readonly AUTH_JWT_ALGORITHMS?: readonly JwtAlgorithm[]
  readonly AUTH_JWT_ISSUER?: string
  readonly AUTH_JWT_AUDIENCE?: string
  readonly AUTH_JWT_LEEWAY_S: number
}

export interface CreateAuthenticatorOptions {
  readonly clock: Clock
  /** Further tokens that stand for somebody. */
  readonly addTokens?: (tokens: StaticTokens) => void
  /** Those that we sign ourselves. Default: none. */
  readonly streamTokens?: StreamTokens | undefined
}

/** The authenticator that a configuration asks for. @throws ConfigError */
export async function createAuthenticator(
  config: AuthConfig,
  { clock, addTokens, streamTokens }: CreateAuthenticatorOptions,
): Promise<Authenticator> {
  const tokens = readStaticTokens(config.AUTH_STATIC_TOKENS, config.NODE_ENV)
  addTokens?.(tokens)
  const verifier = await readVerifier(config, clock)
  return new Authenticator({
    tokens,
    ...(verifier === undefined ? {} : { verifier }),
    ...(streamTokens === undefined ? {} : { streamTokens }),
    trustLoopback: config.NODE_ENV !== 'production',
  })
}

/** `undefined` where no signed tokens are accepted. */
async function readVerifier(config: AuthConfig, clock: Clock): Promise<JwtVerifier | undefined> {
  const { AUTH_JWT_ISSUER: issuer, AUTH_JWT_AUDIENCE: audience } = config
  const keys = await readKeys(config, clock)
  if (issuer === OWN_ISSUER)
    throw new ConfigError([`AUTH_JWT_ISSUER must not be ${OWN_ISSUER}, which is who signs our own tokens`])
  if (keys === undefined) return undefined
  const usual = config.AUTH_JWT_SECRET === undefined ? KEY_PAIR_ALGORITHMS : SECRET_ALGORITHMS
  const algorithms = config.AUTH_JWT_ALGORITHMS ?? usual
  const foreign = algorithms.find((algorithm) => !usual.some((name) => name === algorithm))
  if (foreign !== undefined) {
    const by = config.AUTH_JWT_SECRET === undefined ? 'a JWKS' : 'AUTH_JWT_SECRET'
    throw new ConfigError([
      `AUTH_JWT_ALGORITHMS: ${foreign} is none of ${by}; that verifies ${usual.join(', ')}`,
    ])
  }
  return new JwtVerifier({
    keys,
    algorithms,
    clock,
    leewayS: config.AUTH_JWT_LEEWAY_S,
    ...(issuer === undefined ? {} : { issuer }),
    ...(audience === undefined ? {} : { audience }),
  })
}

async function readKeys(config: AuthConfig, clock: Clock): Promise<JWTVerifyGetKey | undefined> {
  const { AUTH_JWT_SECRET: secret, AUTH_JWKS_URL: url, AUTH_JWKS_FILE: file } = config
  const set = Object.entries({ AUTH_JWT_SECRET: secret, AUTH_JWKS_URL: url, AUTH_JWKS_FILE: file })
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name)
  if (set.length > 1) throw new ConfigError([`${set.join(' and ')} are set; leave all but one out`])
  if (secret !== undefined) return secretKeys(secret)
  if (url !== undefined) return remoteKeys(url, clock)
  return file === undefined ? undefined : fromVariable('AUTH_JWKS_FILE', () => fileKeys(file, clock))
}
