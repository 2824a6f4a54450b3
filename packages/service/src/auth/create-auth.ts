import type { Authenticator } from './authenticator.ts'
import {
  type AuthConfig,
  type CreateAuthenticatorOptions,
  createAuthenticator,
} from './create-authenticator.ts'
import { createSessionCookies, type SessionsConfig } from './sessions/create-sessions.ts'
import type { SessionCookies } from './sessions/session-cookies.ts'
import { readSessionKey, type SessionConfig } from './sessions/session-secret.ts'
import { createStreamTokens, type StreamTokenConfig, type StreamTokens } from './tokens/stream-tokens.ts'

/** Who comes in, and what we sign ourselves for those who did. */
export interface Auth {
  readonly authenticator: Authenticator
  /** Absent without a key to sign them with. */
  readonly streamTokens: StreamTokens | undefined
  /** Absent without a key to sign them with. */
  readonly sessionCookies: SessionCookies | undefined
}

/** All that a configuration says of authentication, with one key for what is ours. @throws as `createAuthenticator` */
export async function createAuth(
  config: AuthConfig & SessionsConfig & SessionConfig & StreamTokenConfig,
  options: Omit<CreateAuthenticatorOptions, 'streamTokens' | 'sessionCookies'>,
): Promise<Auth> {
  const { clock } = options
  const key = readSessionKey(config)
  const streamTokens = createStreamTokens(config, { key, clock })
  const sessionCookies = createSessionCookies(config, { key, clock })
  const authenticator = await createAuthenticator(config, { ...options, streamTokens, sessionCookies })
  return { authenticator, streamTokens, sessionCookies }
}
