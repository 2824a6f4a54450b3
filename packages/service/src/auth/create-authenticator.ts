import type { Clock } from '@tributary/protocol'
import type { JWTVerifyGetKey } from 'jose'
import { ConfigError, fromVariable } from '../config/config-error.ts'
import { Authenticator, type TokenVerifier } from './authenticator.ts'
import { AnonymousUsers } from './carriers/anonymous-users.ts'
import type { VerifySession } from './sessions/app-sessions.ts'
import { createSessions } from './sessions/create-sessions.ts'
import type { SessionCookies } from './sessions/session-cookies.ts'
import {
  fileKeys,
  type JwtAlgorithm,
  KEY_PAIR_ALGORITHMS,
  remoteKeys,
  SECRET_ALGORITHMS,
  secretKeys,
} from './tokens/jwt-keys.ts'
import { JwtVerifier } from './tokens/jwt-verifier.ts'
import { OWN_ISSUER, STREAM_AUDIENCE, WORKER_AUDIENCE } from './tokens/own-token.ts'
import type { Revocations } from './tokens/revocations.ts'
import { readStaticTokens } from './tokens/static-tokens.ts'

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
  readonly AUTH_AUTHJS_SECRET?: string
  readonly AUTH_ANONYMOUS: boolean
  readonly AUTH_ANONYMOUS_GROUPS: readonly string[]
}

export interface CreateAuthenticatorOptions {
  readonly clock: Clock
  /** Verifies those that we sign ourselves. Default: there are none. */
  readonly streamTokens?: TokenVerifier | undefined
  /** Verifies what the gateway shows, at its workers; absent at the gateway. Default: that is nobody. */
  readonly workerTokens?: TokenVerifier | undefined
  /** Those that we sign for browsers. Default: none. */
  readonly sessionCookies?: SessionCookies | undefined
  /** How the application that this is a part of finds sessions of its own. Default: it has none. */
  readonly verifySession?: VerifySession | undefined
  /** Who is refused though what he shows is good. Default: nobody. */
  readonly revocations?: Revocations
  /** Told why the keys of tokens cannot be had now, while nobody comes in. Default: nobody is. */
  readonly onKeysFault?: (error: unknown) => void
}

/** The variables of which production needs one, for it to be known who comes. */
const KEY_VARIABLES = [
  'AUTH_JWT_SECRET',
  'AUTH_JWKS_URL',
  'AUTH_JWKS_FILE',
  'AUTH_SESSION_SECRET',
  'AUTH_AUTHJS_SECRET',
]

/**
 * The authenticator that a configuration asks for.
 *
 * @throws ConfigError also in production where nobody could come in, or only who is anonymous.
 */
export async function createAuthenticator(
  config: AuthConfig,
  options: CreateAuthenticatorOptions,
): Promise<Authenticator> {
  const { streamTokens, workerTokens, revocations } = options
  const production = config.NODE_ENV === 'production'
  const tokens = readStaticTokens(config.AUTH_STATIC_TOKENS, config.NODE_ENV)
  const verifier = await readVerifier(config, options)
  const sessions = createSessions(config, options)
  if (production && verifier === undefined && sessions.length === 0 && workerTokens === undefined) {
    const names = [...KEY_VARIABLES, ...('workerTokens' in options ? ['WORKER_SECRET'] : [])]
    throw new ConfigError([`One of ${names.join(', ')} must be set where NODE_ENV is production`])
  }
  return new Authenticator({
    sessions,
    tokens,
    ...(verifier === undefined ? {} : { verifier }),
    own: ownVerifiers({ [STREAM_AUDIENCE]: streamTokens, [WORKER_AUDIENCE]: workerTokens }),
    ...(config.AUTH_ANONYMOUS ? { anonymous: new AnonymousUsers(config.AUTH_ANONYMOUS_GROUPS) } : {}),
    ...(revocations === undefined ? {} : { revocations }),
    trustLoopback: !production,
  })
}

function ownVerifiers(
  verifiers: Readonly<Record<string, TokenVerifier | undefined>>,
): ReadonlyMap<string, TokenVerifier> {
  return new Map(
    Object.entries(verifiers).flatMap(([audience, verifier]) =>
      verifier === undefined ? [] : [[audience, verifier] as const],
    ),
  )
}

/** `undefined` where no signed tokens are accepted. */
async function readVerifier(
  config: AuthConfig,
  options: CreateAuthenticatorOptions,
): Promise<JwtVerifier | undefined> {
  const { clock } = options
  const { AUTH_JWT_ISSUER: issuer, AUTH_JWT_AUDIENCE: audience } = config
  const keys = await readKeys(config, options)
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

async function readKeys(
  config: AuthConfig,
  { clock, onKeysFault }: CreateAuthenticatorOptions,
): Promise<JWTVerifyGetKey | undefined> {
  const { AUTH_JWT_SECRET: secret, AUTH_JWKS_URL: url, AUTH_JWKS_FILE: file } = config
  const set = Object.entries({ AUTH_JWT_SECRET: secret, AUTH_JWKS_URL: url, AUTH_JWKS_FILE: file })
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name)
  if (set.length > 1) throw new ConfigError([`${set.join(' and ')} are set; leave all but one out`])
  if (secret !== undefined) return secretKeys(secret)
  if (url !== undefined) return remoteKeys(refuseUserinfo(url), clock, onKeysFault)
  return file === undefined ? undefined : fromVariable('AUTH_JWKS_FILE', () => fileKeys(file, clock))
}

/** No request can be made of such an address, so that no token would ever be verified. @throws ConfigError */
function refuseUserinfo(url: string): string {
  const { username, password } = new URL(url)
  if (username === '' && password === '') return url
  throw new ConfigError(['AUTH_JWKS_URL must hold no user and password; public keys need none'])
}
