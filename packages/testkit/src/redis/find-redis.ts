import { findProgram } from '../find-program.ts'

const USUAL_PATHS = ['/usr/bin/redis-server', '/usr/local/bin/redis-server', '/opt/homebrew/bin/redis-server']

/** The redis-server of this machine, if it has one. */
export function findRedis(): string | undefined {
  return findProgram(['redis-server'], USUAL_PATHS)
}

/** Said where it has none. */
export const REDIS_MISSING = 'no redis-server was found; install one (7 or later)'
