import { join } from 'node:path'
import { type Cluster, LocalCluster } from '@tributary/cluster'
import { RedisCluster } from '@tributary/cluster/redis'
import type { EventStore } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { RedisEventStore } from '@tributary/eventlog/redis'
import { SqliteEventStore } from '@tributary/eventlog/sqlite'
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
} from '@tributary/service'
import { faultLog, openRedis, RedisRateStore, RedisRevocationStore } from '@tributary/service/redis'
import type { WorkerConfig } from './config.ts'

/** What the worker keeps its state in, and shares with other nodes. Closed by whoever opened it, after all that uses it. */
export interface Backends extends AsyncDisposable {
  readonly store: EventStore
  /** The nodes that serve together. Left before the store is closed. */
  readonly cluster: Cluster
  /** Which runs there are of all nodes, and which of them executes which; none where this process is alone. */
  readonly fleet: RunFleet | undefined
  /** Where requests are counted. Default: in the memory of the process. */
  readonly rateStore?: RateStore
  /** How much one user may have at a time. */
  readonly quotas: { readonly runs: UserQuota; readonly runStreams: UserQuota }
  /** Where it stands what counts no more. */
  readonly revocations: RevocationStore
  /** How the limits are counted. */
  readonly limits: { readonly health: ComponentHealth }
  /** Whether other nodes have the same store, and with it the same runs. */
  readonly clustered: boolean
}

export interface BackendsOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly logger: ReturnType<typeof createLogger>
  readonly metrics: ServiceMetrics
}

/** Of a log that is there for its attributes alone. */
const NO_EVENTS = { retention: () => ({ maxEvents: 0, maxAgeMs: 0 }) }

/** Opens what the configuration names. The one place that picks adapters. */
export async function openBackends(config: WorkerConfig, options: BackendsOptions): Promise<Backends> {
  await using opened = new AsyncDisposableStack()
  // First, so that it is closed last.
  const redis = await connectRedis(config, options)
  if (redis !== undefined) opened.use(redis)
  const { clock } = options
  const store = opened.use(await openStore(config, redis, options))
  const cluster = opened.use(await openCluster(config, redis, options))
  const fleet = redis && (await openFleet(config, redis, opened, options))
  const shared = redis === undefined ? undefined : { redis, prefix: config.REDIS_PREFIX, clock, cluster }
  const quotaOf = (name: string, limits: QuotaLimits) =>
    shared === undefined
      ? new LocalUserQuota(limits)
      : opened.use(new RedisUserQuota({ ...shared, name: `worker:${name}`, limits }))
  const quotas = {
    runs: quotaOf('runs', runLimitsOf(config)),
    runStreams: quotaOf('run-streams', runStreamLimitsOf(config)),
  }
  const revocations =
    shared === undefined
      ? new LogRevocationStore(await store.open('revocations', NO_EVENTS))
      : opened.use(await RedisRevocationStore.open({ ...shared, keptS: config.AUTH_REVOCATION_KEPT_S }))
  const rates = shared === undefined ? undefined : new RedisRateStore(shared)
  const closing = opened.move()
  return {
    store,
    cluster,
    fleet,
    quotas,
    revocations,
    ...(rates === undefined ? {} : { rateStore: rates.store }),
    limits: {
      get health() {
        return limitsHealth([...Object.values(quotas), ...(rates === undefined ? [] : [rates])])
      },
    },
    clustered: redis !== undefined,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

/** The Redis that all nodes share, where there is one. */
async function connectRedis(
  config: WorkerConfig,
  options: BackendsOptions,
): Promise<RedisConnections | undefined> {
  const { REDIS_URL } = config
  return REDIS_URL === undefined
    ? undefined
    : openRedis({ ...config, REDIS_URL }, { ...options, name: 'worker' })
}

/** The nodes of the same Redis, or this process alone. */
async function openCluster(
  config: WorkerConfig,
  redis: RedisConnections | undefined,
  { clock, logger, metrics }: BackendsOptions,
): Promise<Cluster> {
  if (redis === undefined) return new LocalCluster({ service: 'worker', clock })
  return RedisCluster.open({
    redis,
    prefix: config.REDIS_PREFIX,
    service: 'worker',
    leaseMs: config.NODE_LEASE_MS,
    clock,
    meter: metrics.cluster,
    onError: faultLog(redis, logger, 'a task of the cluster failed'),
  })
}

/** The part of a node's lease that its runs are its own without a word of it: what is found later is found within it. */
const RUN_LOCK_SHARE = 0.8

/** The runs of all workers. */
async function openFleet(
  config: WorkerConfig,
  redis: RedisConnections,
  opened: AsyncDisposableStack,
  { clock, logger }: BackendsOptions,
): Promise<RunFleet> {
  const shared = { redis, prefix: config.REDIS_PREFIX, name: 'worker', clock }
  const index = opened.use(new RedisRunIndex(shared))
  const queue = await BullRunQueue.open({
    ...shared,
    concurrency: config.RUNS_CONCURRENCY,
    lockMs: config.NODE_LEASE_MS * RUN_LOCK_SHARE,
    onError: faultLog(redis, logger, 'the queue of runs has a fault'),
  })
  opened.use(queue)
  return { index, queue }
}

/** Where logs and runs are kept: in the Redis that all share, in a file of this service's own, or in memory. */
async function openStore(
  config: WorkerConfig,
  redis: RedisConnections | undefined,
  { clock, logger, metrics }: BackendsOptions,
): Promise<EventStore> {
  const onStored = metrics.store.appended
  const onError = (error: unknown) => {
    metrics.store.failed()
    logger.error({ err: error }, 'store failed')
  }
  if (redis !== undefined) {
    const prefix = `${config.REDIS_PREFIX}:worker`
    return new RedisEventStore({ connections: redis, prefix, onStored, onError })
  }
  return fromVariable('DATA_DIR', async () =>
    config.STORE === 'memory'
      ? new MemoryEventStore({ clock })
      : SqliteEventStore.open({
          path: join(config.DATA_DIR, 'worker.db'),
          clock,
          synchronous: config.STORE_SYNC,
          onStored,
          onError,
        }),
  )
}
