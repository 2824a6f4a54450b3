import type { Clock } from '@tributary/protocol'
import { Cluster, Redis } from 'ioredis'
import { backoffMs, type ConnectionSettings, type RedisClient } from './connection-options.ts'
import { REPLICA, RedisReplyError, RedisUnavailableError, reasonOf, toRedisError } from './redis-error.ts'
import type { RedisNotice } from './redis-notice.ts'
import { describeTarget } from './redis-target.ts'
import { checkRights } from './rights-check.ts'
import { noticesOfServer, parseInfo, refusalOfServer } from './server-check.ts'
import { WaitingNotices } from './waiting-notices.ts'

interface FirstConnectionInit {
  readonly client: RedisClient
  readonly settings: ConnectionSettings
  /** What our channels begin with: a user may have no others. */
  readonly prefix: string
  readonly clock: Clock
  readonly onNotice: (notice: RedisNotice) => void
  readonly signal: AbortSignal | undefined
}

/** Answers that no waiting cures; without the login, since this is shown. */
const FATAL =
  /^(WRONGPASS|NOAUTH|NOPERM|ERR (DB index|invalid DB|AUTH|Client sent AUTH|This instance has cluster support disabled|unknown command 'info'))/

/**
 * Waits until the server takes commands, and looks what it is.
 *
 * @throws Error where it can never be used as it is set up, or the signal's reason.
 */
export async function connectFirst(init: FirstConnectionInit): Promise<{ isSharded: boolean }> {
  const { client, settings, clock, signal } = init
  const place = describeTarget(settings.target)
  const refused = Promise.withResolvers<never>()
  refused.promise.catch(() => undefined)
  const waiting = new WaitingNotices({ ...settings, clock, onNotice: init.onNotice })
  const hear = (error: Error) => {
    if (FATAL.test(error.message)) refused.reject(refusal(error.message, init, place))
    void waiting.hear(reasonOf(error))
  }
  const stop = () => refused.reject(signal?.reason)
  client.on('error', hear)
  client.on('node error', hear)
  signal?.addEventListener('abort', stop)
  if (signal?.aborted) stop()
  try {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await Promise.race([refused.promise, look(init, place)])
      } catch (error) {
        if (signal?.aborted) throw signal.reason
        const known = toRedisError(error)
        if (known instanceof RedisReplyError) throw refusal(known.reply, init, place)
        if (known === error && !(known instanceof RedisUnavailableError)) throw error
        if (known instanceof RedisUnavailableError) void waiting.hear(known.reason)
        const waitMs = backoffMs(attempt, settings.random)
        await Promise.race([refused.promise, new Promise<void>((resolve) => clock.after(waitMs, resolve))])
      }
    }
  } finally {
    waiting.end()
    signal?.removeEventListener('abort', stop)
    client.off('node error', hear)
    client.off('error', hear)
    // Without a listener ioredis writes them to the console.
    client.on('error', () => undefined)
  }
}

function refusal(reply: string, { prefix }: FirstConnectionInit, place: string): Error {
  const hint = reply.startsWith('NOPERM')
    ? ` (allow it ~${prefix}:* &${prefix}:* and the commands that docs/redis.md names)`
    : ''
  // What it was called with is nobody's business.
  return new Error(`Redis at ${place} refuses: ${reply.replace(/, with args beginning with.*$/s, '')}${hint}`)
}

async function look({ client, settings, prefix, clock, onNotice }: FirstConnectionInit, place: string) {
  // Before, some commands are answered and others refused.
  if (client.status !== 'ready') await new Promise<void>((resolve) => client.once('ready', () => resolve()))
  const servers = client instanceof Cluster ? client.nodes('master') : [client]
  const notices = new Map<string, RedisNotice>()
  for (const server of servers) {
    const info = parseInfo(await server.info())
    const fault = refusalOfServer(info, client instanceof Cluster)
    if (fault !== undefined) throw new Error(`Redis at ${place}: ${fault}`)
    if (info.get('role') === 'slave') {
      // Whoever gave us the address may give us another server the next time.
      if (client instanceof Redis) client.disconnect(true)
      throw new RedisUnavailableError(REPLICA, { isUnsent: true })
    }
    const [, save] = await server
      .config('GET', 'save')
      .catch(() => [])
      .then(asTexts)
    for (const notice of noticesOfServer(info, save)) notices.set(notice.message, notice)
  }
  // In the slot that each node needs for its lease: of a Cluster others may be away.
  const name = `${prefix}:{cluster}:check`
  const isSharded = (await canShard(client, name)) || client instanceof Cluster
  await checkRights({ client, settings, name, isSharded, clock })
  for (const notice of notices.values()) onNotice(notice)
  return { isSharded }
}

/** Publishing is the least that tells: servers differ in how they list their commands. */
async function canShard(client: RedisClient, channel: string): Promise<boolean> {
  try {
    await client.spublish(channel, '')
    return true
  } catch (error) {
    if (error instanceof Error && /unknown command|not supported/i.test(error.message)) return false
    throw error
  }
}

function asTexts(answer: unknown): string[] {
  return Array.isArray(answer) ? answer.map(String) : []
}
