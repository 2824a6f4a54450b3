import type { ConnectionOptions } from 'node:tls'
import { Cluster, type CommonRedisOptions, Redis, type RedisOptions } from 'ioredis'
import type { RedisAddress, RedisTarget } from './redis-target.ts'

/** A connection to one server, to the master that Sentinels name, or to all of a Cluster. */
export type RedisClient = Redis | Cluster

/** Replies keep the shapes of RESP2, flat lists in place of maps: the types of ioredis depend on it. */
type Shared = Omit<CommonRedisOptions, 'replyMapping'>

export interface ConnectionSettings {
  readonly target: RedisTarget
  /** The certificate authorities that the servers' certificates are of, as PEM. Default: those of Node. */
  readonly ca?: string
  /** What the server's CLIENT LIST calls it. */
  readonly name: string
  /** How long a connect or an answer may take, in milliseconds. */
  readonly timeoutMs: number
  readonly random: () => number
  /** How the master is come to that Sentinels name. */
  readonly connector?: NonNullable<RedisOptions['Connector']>
}

const FIRST_RETRY_MS = 50
const LAST_RETRY_MS = 1_000
/** The same where Sentinels are asked for the master: that costs little, and each may be the one that has another. */
const LAST_SENTINEL_RETRY_MS = 250
const KEEP_ALIVE_MS = 10_000
const SLOTS_LIMIT_MS = 1_000
const SLOTS_REFRESH_MS = 10_000
/** How long the server may take to close after us. One that is frozen never does. */
export const DISCONNECT_LIMIT_MS = 250
/** How often a server that loads its data is asked again. */
const LOADING_RETRY_MS = 500
/** How long a blocking read's connection may bring nothing: more than any of BullMQ waits at the server (10 s). */
const BLOCKING_SILENCE_MS = 15_000

/** The wait before another attempt: longer each time, and spread, so that all nodes do not come at once. */
export function backoffMs(attempt: number, random: () => number, lastMs = LAST_RETRY_MS): number {
  const ms = Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempt - 1, 10), lastMs)
  return ms * (0.5 + random() / 2)
}

/**
 * Commands fail at once while the server is away, and none is ever sent twice by itself: neither from a queue
 * (`enableOfflineQueue`), nor after a reconnect (`autoResendUnfulfilledCommands`), nor by a Cluster client whose node
 * went (`retryDelayOnFailover`). `maxRetriesPerRequest: 0` fails those that were under way with the connection: with
 * the resending off they would else never settle.
 */
function failFast(settings: ConnectionSettings): Shared {
  const { target, timeoutMs, random, name } = settings
  const lastRetryMs = target.kind === 'sentinel' ? LAST_SENTINEL_RETRY_MS : LAST_RETRY_MS
  return {
    ...(target.user === undefined ? {} : { username: target.user }),
    ...(target.password === undefined ? {} : { password: target.password }),
    connectionName: name,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    // A server that takes all and answers nothing: the connection is given up, not just the command.
    socketTimeout: timeoutMs,
    keepAlive: KEEP_ALIVE_MS,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    maxLoadingRetryTime: LOADING_RETRY_MS,
    retryStrategy: (attempt) => backoffMs(attempt, random, lastRetryMs),
    // The server was a master when we connected.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  }
}

/** What BullMQ wants: commands wait for the connection, and are sent again, since its scripts bear it. */
function blocking(settings: ConnectionSettings): Shared {
  const { commandTimeout: _, ...others } = failFast(settings)
  return {
    ...others,
    socketTimeout: Math.max(BLOCKING_SILENCE_MS, settings.timeoutMs),
    enableOfflineQueue: true,
    autoResendUnfulfilledCommands: true,
    maxRetriesPerRequest: null,
  }
}

/** The client of all commands. */
export function connectCommands(settings: ConnectionSettings): RedisClient {
  return endingAlways(connect(settings, failFast(settings)))
}

/** A client whose commands may wait at the server for as long as they like. */
export function connectBlocking(settings: ConnectionSettings): RedisClient {
  return endingAlways(connect(settings, blocking(settings)))
}

/** A connection for subscriptions: to the one server, or to that node of a Cluster. */
export function connectSubscriber(settings: ConnectionSettings, node?: RedisAddress): Redis {
  return new Redis({ ...failFast(settings), ...placeOf(settings, node) })
}

/**
 * Has a client end also where it is told to between two attempts to connect. There ioredis has nothing to close: it tells
 * no end, and what waits to be sent waits for ever, and with it who waits for either, as workers of BullMQ do to close.
 */
export function endingAlways<T extends RedisClient>(client: T): T {
  const disconnect = client.disconnect.bind(client)
  client.disconnect = (reconnect = false) => {
    // As one whose first attempt has not begun, which does end.
    if (client.status === 'reconnecting' && !reconnect) client.status = 'wait'
    disconnect(reconnect)
  }
  return client
}

function connect(settings: ConnectionSettings, options: Shared): RedisClient {
  const { target, timeoutMs, random } = settings
  if (target.kind !== 'cluster') return new Redis({ ...options, ...placeOf(settings) })
  const { retryStrategy: _, enableOfflineQueue = false, ...redisOptions } = options
  return new Cluster(
    target.nodes.map(({ host, port }) => ({ host, port })),
    {
      enableOfflineQueue,
      // What was under way when a node went would be sent again. Blocking reads bear that.
      retryDelayOnFailover: enableOfflineQueue ? FIRST_RETRY_MS : 0,
      retryDelayOnClusterDown: enableOfflineQueue ? FIRST_RETRY_MS : 0,
      // The next server is asked when one does not answer.
      slotsRefreshTimeout: Math.min(SLOTS_LIMIT_MS, timeoutMs),
      slotsRefreshInterval: SLOTS_REFRESH_MS,
      clusterRetryStrategy: (attempt) => backoffMs(attempt, random),
      // Names of certificates are those of the URL, not the addresses that they stand for.
      dnsLookup: (address, done) => done(null, address),
      redisOptions: { ...redisOptions, ...tlsOf(settings), disconnectTimeout: DISCONNECT_LIMIT_MS },
    },
  )
}

function placeOf(settings: ConnectionSettings, node?: RedisAddress): Omit<RedisOptions, 'replyMapping'> {
  const { target, connector } = settings
  const tls = tlsOf(settings)
  if (target.kind === 'sentinel') {
    if (connector === undefined) throw new Error('Sentinels are asked by who connects')
    return { db: target.db, Connector: connector, ...tls }
  }
  const address = node ?? (target.kind === 'single' ? target.address : target.nodes[0])
  if (address === undefined) throw new Error('a Cluster has nodes')
  const db = target.kind === 'single' ? target.db : 0
  return { ...address, db, ...tls, disconnectTimeout: DISCONNECT_LIMIT_MS }
}

export function tlsOf({ target, ca }: ConnectionSettings): { tls: ConnectionOptions } | Record<never, never> {
  return target.hasTls ? { tls: ca === undefined ? {} : { ca } } : {}
}
