import { isIP } from 'node:net'
import { ConfigError } from '../config/config-error.ts'
import { type RateLimitConfig, type RateLimits, rateLimitsOf } from './rate-limits.ts'

/** What a configuration says of the limits of a server, and of the proxies before it. */
export interface ServerLimitConfig extends RateLimitConfig {
  readonly MAX_BODY_BYTES: number
  readonly HEADERS_TIMEOUT_MS: number
  readonly REQUEST_TIMEOUT_MS: number
  readonly IDLE_TIMEOUT_MS: number
  readonly MAX_CONNECTIONS: number
  readonly MAX_SOCKETS?: number
  readonly TRUSTED_PROXIES: readonly string[]
}

/** How much a server takes, of whom, and for how long. */
export interface ServerLimits {
  readonly rateLimits: RateLimits
  readonly bodyLimit: number
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly idleTimeoutMs: number
  /** 0: no limit. */
  readonly maxSockets: number
  readonly trustProxy: false | string[]
}

/** Sockets beside those of streams, where nothing is said of it. */
const SPARE_SOCKETS = 1_000

/**
 * The limits that a configuration asks for.
 *
 * @throws ConfigError where `TRUSTED_PROXIES` holds what is no address, or headers have longer than their request.
 */
export function serverLimitsOf(config: ServerLimitConfig): ServerLimits {
  const { MAX_CONNECTIONS, TRUSTED_PROXIES, HEADERS_TIMEOUT_MS, REQUEST_TIMEOUT_MS } = config
  if (HEADERS_TIMEOUT_MS > REQUEST_TIMEOUT_MS)
    throw new ConfigError(['HEADERS_TIMEOUT_MS must not be more than REQUEST_TIMEOUT_MS'])
  const foreign = TRUSTED_PROXIES.find((entry) => !isNetwork(entry))
  if (foreign !== undefined) {
    throw new ConfigError([
      `TRUSTED_PROXIES: ${JSON.stringify(foreign)} is neither an address, as 10.0.0.7, nor a CIDR, as 10.0.0.0/8`,
    ])
  }
  const usualSockets = MAX_CONNECTIONS === 0 ? 0 : 2 * MAX_CONNECTIONS + SPARE_SOCKETS
  return {
    rateLimits: rateLimitsOf(config),
    bodyLimit: config.MAX_BODY_BYTES,
    headersTimeoutMs: HEADERS_TIMEOUT_MS,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    idleTimeoutMs: config.IDLE_TIMEOUT_MS,
    maxSockets: config.MAX_SOCKETS ?? usualSockets,
    trustProxy: TRUSTED_PROXIES.length === 0 ? false : [...TRUSTED_PROXIES],
  }
}

function isNetwork(entry: string): boolean {
  const [address = '', bits, ...rest] = entry.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  // A range that is all there is would believe anybody.
  return (
    bits === undefined ||
    (/^\d{1,3}$/.test(bits) && Number(bits) > 0 && Number(bits) <= (family === 4 ? 32 : 128))
  )
}
