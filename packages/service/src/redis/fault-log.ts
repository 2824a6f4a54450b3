import type { RedisConnections } from '@tributary/redis'
import type { FastifyBaseLogger } from 'fastify'

/**
 * Logs the faults of something that works on Redis, as warnings. While Redis is away each try would be one, and that it
 * is away is logged already: then they are for who debugs.
 */
export function faultLog(
  redis: Pick<RedisConnections, 'status'>,
  logger: Pick<FastifyBaseLogger, 'warn' | 'debug'>,
  message: string,
): (error: unknown) => void {
  return (error) => {
    const level = redis.status.state === 'up' ? 'warn' : 'debug'
    logger[level]({ err: error }, message)
  }
}
