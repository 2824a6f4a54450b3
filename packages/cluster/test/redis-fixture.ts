import { RedisConnections } from '@tributary/redis'
import type { NodeService } from '../src/index.ts'
import { RedisCluster, type RedisClusterOptions } from '../src/redis/index.ts'

/** A lease that a test need not wait long for. */
export const TEST_LEASE_MS = 600

/** A node with connections of its own, as a process has them. Disposing it leaves, `cut` does not. */
export interface TestNode extends AsyncDisposable {
  readonly cluster: RedisCluster
  readonly redis: RedisConnections
  /** Ends its connections: for the others it is as if the process were killed. */
  cut(): Promise<void>
}

export async function openNode(
  url: string,
  prefix: string,
  options: Partial<RedisClusterOptions> & { readonly service?: NodeService } = {},
): Promise<TestNode> {
  const redis = await RedisConnections.open({ url, timeoutMs: 2_000 })
  const cluster = await RedisCluster.open({
    redis,
    prefix,
    service: 'gateway',
    leaseMs: TEST_LEASE_MS,
    ...options,
  })
  return {
    cluster,
    redis,
    cut: () => redis[Symbol.asyncDispose](),
    async [Symbol.asyncDispose]() {
      await cluster[Symbol.asyncDispose]()
      await redis[Symbol.asyncDispose]()
    },
  }
}
