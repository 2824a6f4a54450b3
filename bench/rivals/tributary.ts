import { BenchProcess, type StartOptions } from '../child-process.ts'

/** What tokens are signed with; a request of this machine that has none needs none. */
export const SECRET = 'a secret of thirty-two characters'

/** The group of all streams. */
export const GROUP = 'bench'

/**
 * The gateway as it is deployed, with its log in SQLite. The limits of connections are out of the way, and streams
 * last as long as the measurement. In development a request from this machine needs no token.
 */
const ENV = {
  GATEWAY_PORT: '0',
  NODE_ENV: 'development',
  STORE: 'sqlite',
  MAX_CONNECTIONS: '20000',
  MAX_CONNECTIONS_PER_USER: '0',
  MAX_CONNECTIONS_PER_ADDRESS: '0',
  CONNECT_RATE_PER_S: '0',
  STREAM_TIMEOUT_MS: '3600000',
  DRAIN_MS: '100',
  AUTH_JWT_SECRET: SECRET,
}

/** @param env further variables, as those that make it a node of a cluster. */
export function startTributary(
  options: StartOptions = {},
  env: Readonly<Record<string, string>> = {},
): Promise<BenchProcess> {
  return BenchProcess.start('apps/gateway/src/main.ts', { ...ENV, ...env }, { ...options, role: 'server' })
}
