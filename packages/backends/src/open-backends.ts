import { type Cluster, LocalCluster } from '@tributary/cluster'
import { RedisCluster } from '@tributary/cluster/redis'
import { LocalUserQuota, type QuotaLimits, type UserQuota } from '@tributary/quota'
import { RedisUserQuota } from '@tributary/quota/redis'
import type { RedisConnections } from '@tributary/redis'
import type { RunFleet } from '@tributary/runs'
import { BullRunQueue } from '@tributary/runs/bullmq'
import { RedisRunIndex } from '@tributary/runs/redis'
import { LogRevocationStore, limitsHealth, runLimitsOf, runStreamLimitsOf } from '@tributary/service'
import { faultLog, openRedis, RedisRateStore, RedisRevocationStore } from '@tributary/service/redis'
import type { Backends, BackendsConfig, BackendsOptions, SharedRedis } from './backends.ts'
import { openStore } from './open-store.ts'

/** Of a log that is there for its attributes alone. */
const NO_EVENTS = { retention: () => ({ maxEvents: 0, maxAgeMs: 0 }) }

/** The part of a node's lease that its runs are its own without a word of it: what is found later is found within it. */
const RUN_LOCK_SHARE = 0.8

/**
 * Opens what the configuration names: with `REDIS_URL` all in that Redis, else in a file of this service's own or in
 * memory. The one place that picks adapters which both services have.
 *
 * @throws ConfigError that names the variable by which it cannot be opened.
 */
export async function openBackends(config: BackendsConfig, options: BackendsOptions): Promise<Backends> {
  await using opened = new AsyncDisposableStack()
  // First, so that it is closed last.
  const redis = await openRedis(config, { ...options, name: options.service })
  if (redis !== undefined) opened.use(redis)
  const { clock } = options
  const store = opened.use(await openStore(config, redis, options))
  const cluster = opened.use(await openCluster(config, redis, options))
  const shared = redis && { redis, prefix: redis.prefix, clock, cluster }
  const quotas = openQuotas(config, shared, opened, options)
  const revocations =
    shared === undefined
      ? new LogRevocationStore(await store.open('revocations', NO_EVENTS))
      : opened.use(await RedisRevocationStore.open({ ...shared, keptS: config.AUTH_REVOCATION_KEPT_S }))
  const rates = shared && new RedisRateStore(shared)
  const fleet = shared && (await openFleet(config, shared, opened, options))
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
    clustered: shared !== undefined,
    shared,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

/** The nodes of the same Redis, or this process alone. */
async function openCluster(
  config: BackendsConfig,
  redis: RedisConnections | undefined,
  { service, clock, logger, metrics }: BackendsOptions,
): Promise<Cluster> {
  if (redis === undefined) return new LocalCluster({ service, clock })
  return RedisCluster.open({
    redis,
    prefix: redis.prefix,
    service,
    leaseMs: config.NODE_LEASE_MS,
    clock,
    meter: metrics.cluster,
    onError: faultLog(redis, logger, 'a task of the cluster failed'),
  })
}

function openQuotas(
  config: BackendsConfig,
  shared: SharedRedis | undefined,
  opened: AsyncDisposableStack,
  { service }: BackendsOptions,
): Backends['quotas'] {
  const quotaOf = (name: string, limits: QuotaLimits): UserQuota =>
    shared === undefined
      ? new LocalUserQuota(limits)
      : opened.use(new RedisUserQuota({ ...shared, name: `${service}:${name}`, limits }))
  return {
    runs: quotaOf('runs', runLimitsOf(config)),
    runStreams: quotaOf('run-streams', runStreamLimitsOf(config)),
  }
}

/** The runs of all nodes of this kind. */
async function openFleet(
  config: BackendsConfig,
  { redis, prefix, clock }: SharedRedis,
  opened: AsyncDisposableStack,
  { service, runsAtOnce, logger }: BackendsOptions,
): Promise<RunFleet> {
  const names = { redis, prefix, name: service, clock }
  const index = opened.use(new RedisRunIndex(names))
  const queue = await BullRunQueue.open({
    ...names,
    concurrency: runsAtOnce,
    lockMs: config.NODE_LEASE_MS * RUN_LOCK_SHARE,
    onError: faultLog(redis, logger, 'the queue of runs has a fault'),
  })
  return { index, queue: opened.use(queue) }
}
