import { RedisCluster } from '@tributary/cluster/redis'
import { RedisEventStore } from '@tributary/eventlog/redis'
import { RedisConnections } from '@tributary/redis'
import type { Connection, ConnectOptions } from '../src/connection.ts'
import { Hub } from '../src/hub.ts'
import type { HubOptions } from '../src/hub-options.ts'
import { RedisConnectionRegistry } from '../src/redis/index.ts'
import { MemorySink } from './memory-sink.ts'

/** A lease that a test need not wait long for. */
const LEASE_MS = 900
/** As short: what a node was about to tell when it died is told by another then. */
const CLAIM_MS = 2_000

interface NodeOptions extends Partial<Omit<HubOptions, 'store' | 'cluster' | 'registry'>> {
  readonly nodeId: string
}

/** A hub with connections of its own to Redis, as a node has them. */
export async function openClusterHub(url: string, prefix: string, { nodeId, ...options }: NodeOptions) {
  const { presenceGraceMs: graceMs = 0, observer } = options
  const redis = await RedisConnections.open({ url, timeoutMs: 2_000 })
  const store = new RedisEventStore({ connections: redis, prefix })
  const cluster = await RedisCluster.open({ redis, prefix, service: 'gateway', nodeId, leaseMs: LEASE_MS })
  cluster.listensAt(`http://${nodeId}.invalid`)
  const rules = { graceMs, announceAll: observer?.wantsPresence ?? false, claimMs: CLAIM_MS }
  const registry = new RedisConnectionRegistry({ redis, prefix, namespace: 'hub', rules })
  const hub = await Hub.open({ presenceGraceMs: graceMs, ...options, store, cluster, registry })
  let isCut = false
  return {
    hub,
    redis,
    async connect(connectOptions: ConnectOptions): Promise<{ connection: Connection; sink: MemorySink }> {
      const sink = new MemorySink()
      return { sink, connection: await hub.connect(connectOptions, () => sink) }
    },
    /** Ends its connections to Redis: for the others it is as if the process were killed. */
    cut(): Promise<void> {
      isCut = true
      return redis[Symbol.asyncDispose]()
    },
    async [Symbol.asyncDispose]() {
      await hub[Symbol.asyncDispose]().catch(() => undefined)
      await cluster[Symbol.asyncDispose]()
      // What was being appended waits for a Redis that does not come back.
      if (!isCut) await store.close()
      await redis[Symbol.asyncDispose]()
    },
  }
}
