import { Redis } from 'ioredis'
import { backoffMs, type ConnectionSettings, tlsOf } from './connection-options.ts'
import type { RedisAddress, RedisTarget } from './redis-target.ts'

const SWITCHED = '+switch-master'

/**
 * Hears of each failover from every Sentinel.
 *
 * ioredis can too (`failoverDetector`), once for each connection, and writes to the console for as long as one Sentinel
 * is away. Without, a master that is cut off or frozen is used until a timeout, and what it still takes is lost.
 */
export class SentinelWatch {
  readonly #clients: readonly Redis[]

  constructor(
    settings: ConnectionSettings,
    target: RedisTarget & { kind: 'sentinel' },
    onSwitched: (master: RedisAddress) => void,
  ) {
    const { user, password } = target.sentinelLogin
    this.#clients = target.sentinels.map(({ host, port }) => {
      const client = new Redis({
        host,
        port,
        ...(user === undefined ? {} : { username: user }),
        ...(password === undefined ? {} : { password }),
        ...tlsOf(settings),
        connectionName: `${settings.name}-failovers`,
        connectTimeout: settings.timeoutMs,
        commandTimeout: settings.timeoutMs,
        maxRetriesPerRequest: 0,
        enableReadyCheck: false,
        autoResubscribe: false,
        retryStrategy: (attempt) => backoffMs(attempt, settings.random),
      })
      // One Sentinel that is away is done without.
      client.on('error', () => undefined)
      client.on('ready', () => client.subscribe(SWITCHED).catch(() => undefined))
      client.on('message', (_, message: string) => {
        // `<master name> <old host> <old port> <new host> <new port>`
        const [name, , , newHost = '', newPort] = message.split(' ')
        if (name === target.masterName) onSwitched({ host: newHost, port: Number(newPort) })
      })
      return client
    })
  }

  close(): void {
    for (const client of this.#clients) client.disconnect()
  }
}

/**
 * Makes a connection anew that is not with this master.
 *
 * One that has none yet asks the Sentinels just now, or in a moment. ioredis would give it up for good if it were told to
 * disconnect meanwhile; and told to connect it forgets the attempt that it has planned, which comes all the same, also
 * where the connection has been closed since.
 */
export function leaveFor(master: RedisAddress, client: Redis): void {
  if (client.status !== 'ready' && client.status !== 'connect') return
  const { remoteAddress, remotePort } = client.stream ?? {}
  const isThere = remotePort === master.port && remoteAddress?.replace('::ffff:', '') === master.host
  if (!isThere) client.disconnect(true)
}
