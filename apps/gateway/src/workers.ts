import type { Cluster } from '@tributary/cluster'
import type { AddressPolicy, OutboundClient } from '@tributary/outbound'
import type { Clock } from '@tributary/protocol'
import { workerTokens } from '@tributary/service'
import type { GatewayConfig } from './config.ts'
import { hostOf } from './outbound-clients.ts'
import { AnnouncedWorkers } from './relay/announced-workers.ts'
import { Worker } from './relay/worker.ts'
import { WorkerChecks } from './relay/worker-checks.ts'
import { WorkerPool } from './relay/worker-pool.ts'

export interface WorkersOptions {
  readonly client: OutboundClient
  /** What the client may reach. */
  readonly policy: AddressPolicy
  readonly cluster: Pick<Cluster, 'nodes'>
  /** Whether the workers share their runs. */
  readonly clustered: boolean
  readonly clock: Clock
  readonly random: () => number
  /** Told once of each address that a worker announces, and at which something else answers. */
  readonly onStranger: (url: string) => void
}

/** The workers that this gateway asks: those of WORKER_URLS, and in a cluster those that announce themselves. */
export function createWorkers(config: GatewayConfig, options: WorkersOptions) {
  const { client, policy, cluster, clustered, clock, random, onStranger } = options
  const tokens = workerTokens(config, clock)
  const workerAt = (url: string) => new Worker({ url, client, tokens, now: () => clock.now() })
  const pool = new WorkerPool({ listed: config.WORKER_URLS.map(workerAt), shared: clustered, random })
  const announced = new AnnouncedWorkers({
    nodes: () => cluster.nodes('worker'),
    pool,
    connect: (url) => [workerAt(url), policy.open(hostOf(url))],
    clock,
    onStranger,
  })
  return { pool, announced, workerChecks: new WorkerChecks(pool, clock) }
}
