import type { Clock } from '@tributary/protocol'
import { Cluster, type Redis } from 'ioredis'
import { backoffMs, type ConnectionSettings, type RedisClient } from './connection-options.ts'
import { RedisReplyError, reasonOf, toRedisError } from './redis-error.ts'
import type { RedisNotice } from './redis-notice.ts'
import { describeTarget } from './redis-target.ts'
import { noticesOfServer, parseInfo, refusalOfServer } from './server-check.ts'

interface FirstConnectionInit {
  readonly client: RedisClient
  readonly settings: ConnectionSettings
  /** What our channels begin with: a user may have no others. */
  readonly prefix: string
  readonly clock: Clock
  readonly onNotice: (notice: RedisNotice) => void
  readonly signal: AbortSignal | undefined
}

/** The message of the notice that there is no Redis yet. */
export const WAITING = 'waiting for Redis'

/** How often the same reason is told again, in ms. */
const REMIND_MS = 60_000

/** Answers that no waiting cures; without the login, since this is shown. */
const FATAL = /^(WRONGPASS|NOAUTH|NOPERM|ERR (DB index|invalid DB|AUTH|Client sent AUTH))/

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
  // Each once, then now and then: there is another try several times a second.
  const told = new Map<string, number>()
  const hear = (error: Error) => {
    if (FATAL.test(error.message)) refused.reject(refusal(place, error.message))
    const reason = reasonOf(error)
    const now = clock.elapsed()
    if (now - (told.get(reason) ?? Number.NEGATIVE_INFINITY) < REMIND_MS) return
    told.set(reason, now)
    init.onNotice({ level: 'warn', message: WAITING, fields: { place, reason } })
  }
  const hearSentinel = (error: Error) => {
    // One that is away is done without; where all are, that is an error of its own.
    if (/No such master|invalid reply: null/.test(error.message))
      hear(new Error('the Sentinels know no master of this name'))
  }
  const stop = () => refused.reject(signal?.reason)
  client.on('error', hear)
  client.on('node error', hear)
  client.on('sentinelError', hearSentinel)
  signal?.addEventListener('abort', stop)
  if (signal?.aborted) stop()
  try {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await Promise.race([refused.promise, look(init, place)])
      } catch (error) {
        if (signal?.aborted) throw signal.reason
        const known = toRedisError(error)
        if (known instanceof RedisReplyError) throw refusal(place, known.reply)
        if (known === error) throw error
        const waitMs = backoffMs(attempt, settings.random)
        await Promise.race([refused.promise, new Promise<void>((resolve) => clock.after(waitMs, resolve))])
      }
    }
  } finally {
    signal?.removeEventListener('abort', stop)
    client.off('node error', hear)
    client.off('sentinelError', hearSentinel)
    client.off('error', hear)
    // Without a listener ioredis writes them to the console.
    client.on('error', () => undefined)
  }
}

function refusal(place: string, reply: string): Error {
  return new Error(`Redis at ${place} refuses: ${reply}`)
}

async function look({ client, prefix, onNotice }: FirstConnectionInit, place: string) {
  // Before, some commands are answered and others refused.
  if (client.status !== 'ready') await new Promise<void>((resolve) => client.once('ready', () => resolve()))
  const servers = client instanceof Cluster ? client.nodes('master') : [client]
  const notices = new Map<string, RedisNotice>()
  for (const server of servers) {
    const info = parseInfo(await server.info())
    const fault = refusalOfServer(info)
    if (fault !== undefined) throw new Error(`Redis at ${place}: ${fault}`)
    const [, save] = await server
      .config('GET', 'save')
      .catch(() => [])
      .then(asTexts)
    for (const notice of noticesOfServer(info, save)) notices.set(notice.message, notice)
  }
  const isSharded = client instanceof Cluster || (await canShard(client, `${prefix}:check`))
  for (const notice of notices.values()) onNotice(notice)
  return { isSharded }
}

/** Publishing is the least that tells: servers differ in how they list their commands. */
async function canShard(client: Redis, channel: string): Promise<boolean> {
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
