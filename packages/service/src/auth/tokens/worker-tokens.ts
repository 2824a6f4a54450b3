import type { Clock } from '@tributary/protocol'
import { LRUCache } from 'lru-cache'
import type { TokenVerifier } from '../authenticator.ts'
import { ADMIN, type Principal } from '../principal.ts'
import { WORKER_AUDIENCE } from './own-token.ts'
import { OwnTokenKind } from './own-token-kind.ts'

const LIFETIME_S = 60
/** How long a token is used for further requests of the same principal, so that relaying costs no signatures. */
const REUSE_MS = 20_000
/** How far the clocks of gateway and worker may be apart, beside what is left of the lifetime. */
const LEEWAY_S = 30
/** Principals whose token is kept: the newest. */
const MAX_KEPT = 10_000

/**
 * What both sign with where nothing is configured, in development. It opens nothing: a worker takes it from its own
 * machine only, which may say there without any token who it is.
 */
const DEVELOPMENT_SECRET = 'for gateway and worker of one machine, in development'

/** On whose behalf the gateway asks a worker. */
export type Asker = Pick<Principal, 'userId' | 'roles'>

/** The gateway itself, where it reads for several, or for nobody. */
const GATEWAY: Asker = { userId: 'gateway', roles: [ADMIN] }

export interface WorkerSecretConfig {
  readonly NODE_ENV: string
  readonly WORKER_SECRET?: string
}

/** Signs what the gateway shows its workers: who asks, for a minute. */
export class WorkerTokens {
  readonly #kind: OwnTokenKind
  readonly #clock: Clock
  readonly #kept = new LRUCache<string, KeptToken>({ max: MAX_KEPT })

  constructor({ secret, clock }: { readonly secret: string; readonly clock: Clock }) {
    this.#kind = workerKind(secret, clock)
    this.#clock = clock
  }

  /** A token on behalf of somebody. Default: of the gateway itself, which may all. */
  of({ userId, roles }: Asker = GATEWAY): Promise<string> {
    const key = JSON.stringify([userId, roles])
    const now = this.#clock.now()
    const kept = this.#kept.get(key)
    if (kept !== undefined && Math.abs(now - kept.signedAt) < REUSE_MS) return kept.token
    const issuedAtS = Math.floor(now / 1_000)
    const token = this.#kind.sign({
      sub: userId,
      roles,
      iat: issuedAtS,
      exp: issuedAtS + LIFETIME_S,
    })
    this.#kept.set(key, { token, signedAt: now })
    return token
  }
}

interface KeptToken {
  readonly token: Promise<string>
  /** Milliseconds since 1970. */
  readonly signedAt: number
}

/** The signer of a gateway; none in production where no secret is configured, whose workers then answer nothing. */
export function workerTokens(config: WorkerSecretConfig, clock: Clock): WorkerTokens | undefined {
  const secret = secretOf(config)
  return secret === undefined ? undefined : new WorkerTokens({ secret, clock })
}

/** Verifies at a worker what the gateway shows; `undefined` where it can show nothing that counts. */
export function workerTokenVerifier(config: WorkerSecretConfig, clock: Clock): TokenVerifier | undefined {
  const secret = secretOf(config)
  if (secret === undefined) return undefined
  const kind = workerKind(secret, clock)
  return {
    localOnly: config.WORKER_SECRET === undefined,
    async verify(token) {
      // What it opens is not to end with it: the token is for the request alone.
      const { expiresAt: _, ...principal } = await kind.verify(token)
      return { ...principal, method: 'worker' }
    },
  }
}

function workerKind(secret: string, clock: Clock): OwnTokenKind {
  const key = new TextEncoder().encode(secret)
  return new OwnTokenKind({ key, audience: WORKER_AUDIENCE, leewayS: LEEWAY_S, clock })
}

function secretOf({ NODE_ENV, WORKER_SECRET }: WorkerSecretConfig): string | undefined {
  return WORKER_SECRET ?? (NODE_ENV === 'production' ? undefined : DEVELOPMENT_SECRET)
}
