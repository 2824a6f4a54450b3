import { randomBytes } from 'node:crypto'

/** What a configuration says of the key of our own tokens. */
export interface SessionConfig {
  readonly NODE_ENV: string
  readonly AUTH_SESSION_SECRET?: string
  readonly AUTH_JWT_SECRET?: string
}

const RANDOM_BYTES = 32

/**
 * The key that our own session cookies and stream tokens are signed with: `AUTH_SESSION_SECRET`, else
 * `AUTH_JWT_SECRET`, else outside production a random one, with which they end with the process. Read once, for two
 * readings may differ.
 *
 * `undefined` in production without either: there are no tokens of our own then.
 */
export function readSessionKey(config: SessionConfig): Uint8Array | undefined {
  const secret = secretOf(config)
  if (secret !== undefined) return new TextEncoder().encode(secret)
  return config.NODE_ENV === 'production' ? undefined : randomBytes(RANDOM_BYTES)
}

/** Whether what is signed with that key counts at this process alone. */
export function isKeyOfProcess(config: SessionConfig): boolean {
  return secretOf(config) === undefined && config.NODE_ENV !== 'production'
}

function secretOf(config: SessionConfig): string | undefined {
  return config.AUTH_SESSION_SECRET ?? config.AUTH_JWT_SECRET
}
