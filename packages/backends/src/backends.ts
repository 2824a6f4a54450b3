import type { Cluster } from '@tributary/cluster'
import type { EventStore } from '@tributary/eventlog'
import type { Clock, ComponentHealth } from '@tributary/protocol'
import type { UserQuota } from '@tributary/quota'
import type { RedisConnections } from '@tributary/redis'
import type { RunFleet } from '@tributary/runs'
import type {
  createLogger,
  RateStore,
  RevocationStore,
  RunLimitsConfig,
  ServiceMetrics,
} from '@tributary/service'

/** The variables that say which adapters there are, and how they are opened. */
export interface BackendsConfig extends RunLimitsConfig {
  readonly STORE: string
  readonly STORE_SYNC: 'normal' | 'full'
  readonly DATA_DIR: string
  readonly REDIS_URL?: string
  readonly REDIS_PREFIX: string
  readonly REDIS_TLS_CA_FILE?: string
  readonly REDIS_TIMEOUT_MS: number
  readonly NODE_LEASE_MS: number
  readonly AUTH_REVOCATION_KEPT_S: number
}

export interface BackendsOptions {
  /** Whose state it is: services of different kinds share a Redis, and nothing in it. */
  readonly service: 'gateway' | 'worker'
  /** Runs that this node takes from the queue of a cluster at a time. */
  readonly runsAtOnce: number
  /** What appends may wait while Redis is away. Default: none may, and they are refused. */
  readonly outage?: { readonly maxEvents: number; readonly maxBytes: number }
  readonly clock: Clock
  readonly random: () => number
  readonly logger: ReturnType<typeof createLogger>
  readonly metrics: ServiceMetrics
  /** Told why it is waited for a Redis that is not there yet. */
  readonly onWaiting?: ((reason: string) => void) | undefined
}

/** What adapters of the same Redis take. */
export interface SharedRedis {
  readonly redis: RedisConnections
  readonly prefix: string
  readonly clock: Clock
  readonly cluster: Cluster
}

/** What a service keeps its state in, and shares with other nodes. Closed by whoever opened it, after all that uses it. */
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
  /** The Redis of all nodes, for what else is kept there; none where this process is alone. */
  readonly shared: SharedRedis | undefined
}
