import type { RedisNotice } from './redis-notice.ts'

/** What of a server's INFO is looked at. */
export type ServerInfo = ReadonlyMap<string, string>

const OLDEST_MAJOR = 7

/** An INFO answer, without its headings. */
export function parseInfo(text: string): ServerInfo {
  const lines = text.split('\r\n').filter((line) => line.includes(':'))
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]))
}

/** Why this server cannot be used at all; undefined where it can. @param asCluster whether `REDIS_URL` names a Cluster. */
export function refusalOfServer(info: ServerInfo, asCluster = false): string | undefined {
  if (!asCluster && info.get('redis_mode') === 'cluster') {
    return 'it is one of a Cluster: write redis+cluster:// in place of redis://'
  }
  const version = info.get('redis_version') ?? ''
  const major = Number.parseInt(version, 10)
  if (major >= OLDEST_MAJOR) return undefined
  return `Redis ${OLDEST_MAJOR} or newer is needed, and this one says ${version || 'no version'}`
}

/**
 * What an operator should know of how the server is set up.
 *
 * @param save what `CONFIG GET save` answered; undefined where we may not ask.
 */
export function noticesOfServer(info: ServerInfo, save: string | undefined): RedisNotice[] {
  const policy = info.get('maxmemory_policy') ?? 'noeviction'
  const maxBytes = Number(info.get('maxmemory') ?? 0)
  const notices: RedisNotice[] = []
  if (policy !== 'noeviction') {
    notices.push({
      level: 'warn',
      message:
        'Redis throws keys away when its memory is full, and events with them: set maxmemory-policy to noeviction',
      fields: { policy },
    })
  }
  if (maxBytes === 0) {
    notices.push({
      level: 'info',
      message: "Redis takes memory until the machine's is gone: set maxmemory",
      fields: {},
    })
  }
  if (info.get('aof_enabled') !== '1') {
    const keepsNothing = save === ''
    notices.push({
      level: 'warn',
      message: keepsNothing
        ? 'Redis stores nothing on disk, and loses all when it restarts: set appendonly to yes'
        : 'Redis stores on disk only now and then, and loses what came since when it restarts: set appendonly to yes',
      fields: { save: save ?? 'unknown' },
    })
  }
  return notices
}
