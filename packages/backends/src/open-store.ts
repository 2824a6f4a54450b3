import { join } from 'node:path'
import type { EventStore } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { RedisEventStore } from '@tributary/eventlog/redis'
import { SqliteEventStore } from '@tributary/eventlog/sqlite'
import type { RedisConnections } from '@tributary/redis'
import { fromVariable } from '@tributary/service'
import type { BackendsConfig, BackendsOptions } from './backends.ts'

/** How long a process that ends waits for a Redis that is away, where something waits to be stored: for a failover, in ms. */
const LAST_WAIT_MS = 5_000

/** Where logs and runs are kept: in the Redis that all share, in a file of this service's own, or in memory. */
export async function openStore(
  config: BackendsConfig,
  redis: RedisConnections | undefined,
  { service, clock, logger, metrics, outage }: BackendsOptions,
): Promise<EventStore> {
  const onStored = metrics.store.appended
  const onError = (error: unknown) => {
    metrics.store.failed()
    logger.error({ err: error }, 'store failed')
  }
  if (redis !== undefined) {
    const prefix = `${redis.prefix}:${service}`
    const waits = outage === undefined ? {} : { outage }
    const onUnstored = (events: number, isLost: boolean) => {
      if (isLost) logger.error({ events }, 'events that waited for Redis are lost with this process')
      else logger.warn({ events, waitMs: LAST_WAIT_MS }, 'events wait for Redis, for a moment yet')
    }
    const told = { onStored, onError, onUnstored }
    return new RedisEventStore({ connections: redis, prefix, ...waits, lastWaitMs: LAST_WAIT_MS, ...told })
  }
  return fromVariable('DATA_DIR', async () =>
    config.STORE === 'memory'
      ? new MemoryEventStore({ clock })
      : SqliteEventStore.open({
          path: join(config.DATA_DIR, `${service}.db`),
          clock,
          synchronous: config.STORE_SYNC,
          onStored,
          onError,
        }),
  )
}
