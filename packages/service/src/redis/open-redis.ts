import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Clock } from '@tributary/protocol'
import { RedisConnections, WAITING } from '@tributary/redis'
import type { FastifyBaseLogger } from 'fastify'
import { fromVariable } from '../config/config-error.ts'
import type { ServiceMetrics } from '../metrics/service-metrics.ts'

/** The variables that say which Redis, and how it is reached. */
export interface RedisConfig {
  /** None where this process is alone. */
  readonly REDIS_URL?: string
  readonly REDIS_PREFIX: string
  readonly REDIS_TLS_CA_FILE?: string
  readonly REDIS_TIMEOUT_MS: number
}

export interface OpenRedisOptions {
  /** What the server's CLIENT LIST calls the connections. */
  readonly name: string
  readonly logger: FastifyBaseLogger
  readonly metrics: ServiceMetrics
  /** Told why Redis cannot be had yet, before it is for the first time. */
  readonly onWaiting?: ((reason: string) => void) | undefined
  readonly clock: Clock
  readonly random: () => number
}

/**
 * Connects to the Redis of the configuration, and waits for it where it is not there. `undefined` where none is named.
 *
 * @throws ConfigError
 */
export async function openRedis(
  config: RedisConfig,
  options: OpenRedisOptions,
): Promise<RedisConnections | undefined> {
  const { REDIS_URL: url, REDIS_TLS_CA_FILE: caFile } = config
  if (url === undefined) return undefined
  const { name, logger, metrics, onWaiting, clock, random } = options
  const ca =
    caFile === undefined ? undefined : await fromVariable('REDIS_TLS_CA_FILE', () => readAuthorities(caFile))
  const redis = await fromVariable('REDIS_URL', () =>
    RedisConnections.open({
      url,
      ...(ca === undefined ? {} : { ca }),
      prefix: config.REDIS_PREFIX,
      name: `tributary-${name}`,
      timeoutMs: config.REDIS_TIMEOUT_MS,
      onNotice: ({ level, message, fields }) => {
        logger[level](fields, message)
        if (message === WAITING) onWaiting?.(`${message}: ${fields['reason']}`)
      },
      meter: metrics.redis,
      clock,
      random,
    }),
  )
  metrics.redis.watch(redis)
  return redis
}

/** Node passes over what is no certificate, and trusts nobody then. */
async function readAuthorities(path: string): Promise<string> {
  const pem = await readFile(path, 'utf8')
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw new Error(`${path} holds no certificate as PEM`)
  try {
    new X509Certificate(pem)
  } catch (error) {
    throw new Error(`${path} holds a certificate that cannot be read`, { cause: error })
  }
  return pem
}
