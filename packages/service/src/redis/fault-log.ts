import type { RedisConnections } from '@tributary/redis'
import type { FastifyBaseLogger } from 'fastify'

/**
 * Logs the faults of something that works on Redis, as warnings. While Redis is away, or refuses writes, each try would
 * be one, and that is logged already: then they are for who debugs.
 */
export function faultLog(
  redis: Pick<RedisConnections, 'status'>,
  logger: Pick<FastifyBaseLogger, 'warn' | 'debug'>,
  message: string,
): (error: unknown) => void {
  return (error) => {
    const { status } = redis
    const level = status.state === 'up' && status.refusesWrites === undefined ? 'warn' : 'debug'
    logger[level]({ err: error }, message)
  }
}
