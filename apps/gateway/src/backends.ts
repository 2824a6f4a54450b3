import { join } from 'node:path'
import { type Cluster, LocalCluster } from '@tributary/cluster'
import { RedisCluster } from '@tributary/cluster/redis'
import type { EventStore } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { RedisEventStore, type RedisEventStoreOptions } from '@tributary/eventlog/redis'
import { SqliteEventStore } from '@tributary/eventlog/sqlite'
import { type ConnectionRegistry, DEFAULT_NAMESPACE } from '@tributary/hub'
import { RedisConnectionRegistry } from '@tributary/hub/redis'
import type { Clock, ComponentHealth } from '@tributary/protocol'
import { LocalUserQuota, type QuotaLimits, type UserQuota } from '@tributary/quota'
import { RedisUserQuota } from '@tributary/quota/redis'
import type { RedisConnections } from '@tributary/redis'
import type { RunFleet } from '@tributary/runs'
import { BullRunQueue } from '@tributary/runs/bullmq'
import { RedisRunIndex } from '@tributary/runs/redis'
import {
  type createLogger,
  fromVariable,
  LogRevocationStore,
  limitsHealth,
  type RateStore,
  type RevocationStore,
  runLimitsOf,
  runStreamLimitsOf,
  type ServiceMetrics,
  type SessionOwners,
} from '@tributary/service'
import {
  faultLog,
  openRedis,
  RedisRateStore,
  RedisRevocationStore,
  RedisSessionOwners,
} from '@tributary/service/redis'
import type { GatewayConfig } from './config.ts'
import { LocalSessionOwners } from './local-session-owners.ts'

/** Runs that a gateway takes over at a time. */
const MAX_RUNS = 10_000

/** What the gateway keeps its state in, and shares with other nodes. Closed by whoever opened it, after all that uses it. */
export interface Backends extends AsyncDisposable {
  readonly store: EventStore
  /** The nodes that serve together. Left before the store is closed. */
  readonly cluster: Cluster
  /** Who is connected to any node. Default: the hub's own, of this process. */
  readonly registry: ConnectionRegistry | undefined
  /** Where requests are counted. Default: in the memory of the process. */
  readonly rateStore?: RateStore
  /** How much one user may have at a time. */
  readonly quotas: { readonly runs: UserQuota; readonly runStreams: UserQuota }
  /** Where it stands what counts no more. */
  readonly revocations: RevocationStore
  /** Opens what knows whose the sessions are that clients name. */
  readonly openSessionOwners: (options: SessionOwnersOptions) => Promise<SessionOwners>
  /** How the limits are counted. */
  readonly limits: { readonly health: ComponentHealth }
  /** Whether other nodes have the same store, and with it the same runs. */
  readonly clustered: boolean
  /** Which runs those of all nodes are, and who executes which. */
  readonly fleet: RunFleet | undefined
}

export interface BackendsOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly logger: ReturnType<typeof createLogger>
  readonly metrics: ServiceMetrics
}

/** What is to be known for, and of, the owners of sessions. */
export interface SessionOwnersOptions {
  /** How long a session stays whose it was after its last use, in ms. */
  readonly keepMs: number
  /** Called where an anonymous session becomes that of a user, with what its anonymous user was called. */
  readonly onTaken: (userId: string) => void
  /** Called where a session that this node gave to a user while others could not be asked is another's after all. */
  readonly onLost: (sessionId: string, userId: string) => void
}

/** Of a log that is there for its attributes alone. */
const NO_EVENTS = { retention: () => ({ maxEvents: 0, maxAgeMs: 0 }) }

/** Opens what the configuration names. The one place that picks adapters. */
export async function openBackends(config: GatewayConfig, options: BackendsOptions): Promise<Backends> {
  await using opened = new AsyncDisposableStack()
  // First, so that it is closed last.
  const redis = await connectRedis(config, options)
  if (redis !== undefined) opened.use(redis)
  const { clock } = options
  const store = opened.use(await openStore(config, redis, options))
  const cluster = opened.use(await openCluster(config, redis, options))
  const shared = redis === undefined ? undefined : { redis, prefix: config.REDIS_PREFIX, clock, cluster }
  const quotaOf = (name: string, limits: QuotaLimits) =>
    shared === undefined
      ? new LocalUserQuota(limits)
      : opened.use(new RedisUserQuota({ ...shared, name: `gateway:${name}`, limits }))
  const quotas = {
    runs: quotaOf('runs', runLimitsOf(config)),
    runStreams: quotaOf('run-streams', runStreamLimitsOf(config)),
  }
  const registry = redis === undefined ? undefined : sharedRegistry(config, redis)
  const revocations =
    shared === undefined
      ? new LogRevocationStore(await store.open('revocations', NO_EVENTS))
      : opened.use(await RedisRevocationStore.open({ ...shared, keptS: config.AUTH_REVOCATION_KEPT_S }))
  const rates = shared === undefined ? undefined : new RedisRateStore(shared)
  const fleet = redis === undefined ? undefined : await openFleet(config, redis, opened, options)
  const closing = opened.move()
  return {
    store,
    cluster,
    registry,
    quotas,
    revocations,
    ...(rates === undefined ? {} : { rateStore: rates.store }),
    openSessionOwners: async (owners) =>
      shared === undefined
        ? LocalSessionOwners.open({ ...owners, store, clock })
        : closing.use(new RedisSessionOwners({ ...shared, ...owners })),
    limits: {
      get health() {
        return limitsHealth([...Object.values(quotas), ...(rates === undefined ? [] : [rates])])
      },
    },
    clustered: redis !== undefined,
    fleet,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

/** The Redis that all nodes share, where there is one. */
async function connectRedis(
  config: GatewayConfig,
  options: BackendsOptions,
): Promise<RedisConnections | undefined> {
  const { REDIS_URL } = config
  return REDIS_URL === undefined
    ? undefined
    : openRedis({ ...config, REDIS_URL }, { ...options, name: 'gateway' })
}

/** The nodes of the same Redis, or this process alone. */
async function openCluster(
  config: GatewayConfig,
  redis: RedisConnections | undefined,
  { clock, logger, metrics }: BackendsOptions,
): Promise<Cluster> {
  if (redis === undefined) return new LocalCluster({ service: 'gateway', clock })
  return RedisCluster.open({
    redis,
    prefix: config.REDIS_PREFIX,
    service: 'gateway',
    leaseMs: config.NODE_LEASE_MS,
    clock,
    meter: metrics.cluster,
    onError: faultLog(redis, logger, 'a task of the cluster failed'),
  })
}

/** The connections of the hubs of all nodes. */
function sharedRegistry(config: GatewayConfig, redis: RedisConnections): ConnectionRegistry {
  return new RedisConnectionRegistry({
    redis,
    prefix: config.REDIS_PREFIX,
    namespace: DEFAULT_NAMESPACE,
    rules: { graceMs: config.PRESENCE_GRACE_MS, announceAll: tellsPresence(config) },
  })
}

/** Whether joins and leaves are told of all groups, whoever watches. */
function tellsPresence({ WEBHOOK_URL, WEBHOOK_EVENTS }: GatewayConfig): boolean {
  return WEBHOOK_URL !== undefined && WEBHOOK_EVENTS.some((event) => event === 'join' || event === 'leave')
}

/** The part of a node's lease that its runs are its own without a word of it: what is found later is found within it. */
const RUN_LOCK_SHARE = 0.8

/** The runs of all gateways. */
async function openFleet(
  config: GatewayConfig,
  redis: RedisConnections,
  opened: AsyncDisposableStack,
  { clock, logger }: BackendsOptions,
): Promise<RunFleet> {
  const names = { redis, prefix: config.REDIS_PREFIX, name: 'gateway', clock }
  const index = opened.use(new RedisRunIndex(names))
  const queue = await BullRunQueue.open({
    ...names,
    // They wait for their upstreams most of the time.
    concurrency: MAX_RUNS,
    lockMs: config.NODE_LEASE_MS * RUN_LOCK_SHARE,
    onError: faultLog(redis, logger, 'the queue of runs has a fault'),
  })
  return { index, queue: opened.use(queue) }
}

/** Where logs and runs are kept: in the Redis that all share, in a file of this service's own, or in memory. */
async function openStore(
  config: GatewayConfig,
  redis: RedisConnections | undefined,
  { clock, logger, metrics }: BackendsOptions,
): Promise<EventStore> {
  const onStored = metrics.store.appended
  const onError = (error: unknown) => {
    metrics.store.failed()
    logger.error({ err: error }, 'store failed')
  }
  if (redis !== undefined) {
    const prefix = `${config.REDIS_PREFIX}:gateway`
    return new RedisEventStore({ connections: redis, prefix, ...outageOf(config), onStored, onError })
  }
  return fromVariable('DATA_DIR', async () =>
    config.STORE === 'memory'
      ? new MemoryEventStore({ clock })
      : SqliteEventStore.open({
          path: join(config.DATA_DIR, 'gateway.db'),
          clock,
          synchronous: config.STORE_SYNC,
          onStored,
          onError,
        }),
  )
}

/** What sends may wait while Redis is away; without it they are refused. */
function outageOf(config: GatewayConfig): Pick<RedisEventStoreOptions, 'outage'> {
  const { REDIS_OUTAGE, REDIS_OUTAGE_MAX_EVENTS: maxEvents, REDIS_OUTAGE_MAX_BYTES: maxBytes } = config
  return REDIS_OUTAGE === 'buffer' ? { outage: { maxEvents, maxBytes } } : {}
}
