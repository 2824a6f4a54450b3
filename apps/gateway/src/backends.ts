import { type Backends, type BackendsOptions, openBackends, type SharedRedis } from '@tributary/backends'
import { type ConnectionRegistry, DEFAULT_NAMESPACE } from '@tributary/hub'
import { RedisConnectionRegistry } from '@tributary/hub/redis'
import type { SessionOwners } from '@tributary/service'
import { RedisSessionOwners } from '@tributary/service/redis'
import type { GatewayConfig } from './config.ts'
import { LocalSessionOwners } from './local-session-owners.ts'

/** Runs that a gateway takes over at a time. They wait for their upstreams most of it. */
const MAX_RUNS = 10_000

/** What both services have, and what the gateway keeps beside it. */
export interface GatewayBackends extends Backends {
  /** Who is connected to any node. Default: the hub's own, of this process. */
  readonly registry: ConnectionRegistry | undefined
  /** Opens what knows whose the sessions are that clients name. */
  readonly openSessionOwners: (options: SessionOwnersOptions) => Promise<SessionOwners>
}

/** What is not the same for every gateway. */
export type GatewayBackendsOptions = Omit<BackendsOptions, 'service' | 'runsAtOnce' | 'outage'>

/** What is to be known for, and of, the owners of sessions. */
export interface SessionOwnersOptions {
  /** How long a session stays whose it was after its last use, in ms. */
  readonly keepMs: number
  /** Called where an anonymous session becomes that of a user, with what its anonymous user was called. */
  readonly onTaken: (userId: string) => void
  /** Called where a session that this node gave to a user while others could not be asked is another's after all. */
  readonly onLost: (sessionId: string, userId: string) => void
}

/** Opens what the configuration names: the adapters of both services, and those that only a gateway has. */
export async function openGatewayBackends(
  config: GatewayConfig,
  options: GatewayBackendsOptions,
): Promise<GatewayBackends> {
  const backends = await openBackends(config, {
    ...options,
    service: 'gateway',
    runsAtOnce: MAX_RUNS,
    ...outageOf(config),
  })
  const { store, shared } = backends
  const closing = new AsyncDisposableStack()
  closing.use(backends)
  return {
    ...backends,
    registry: shared && sharedRegistry(config, shared),
    openSessionOwners: async (owners) =>
      shared === undefined
        ? LocalSessionOwners.open({ ...owners, store, clock: options.clock })
        : closing.use(new RedisSessionOwners({ ...shared, ...owners })),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

/** The connections of the hubs of all nodes. */
function sharedRegistry(config: GatewayConfig, { redis, prefix }: SharedRedis): ConnectionRegistry {
  return new RedisConnectionRegistry({
    redis,
    prefix,
    namespace: DEFAULT_NAMESPACE,
    rules: { graceMs: config.PRESENCE_GRACE_MS, announceAll: tellsPresence(config) },
  })
}

/** Whether joins and leaves are told of all groups, whoever watches. */
function tellsPresence({ WEBHOOK_URL, WEBHOOK_EVENTS }: GatewayConfig): boolean {
  return WEBHOOK_URL !== undefined && WEBHOOK_EVENTS.some((event) => event === 'join' || event === 'leave')
}

/** What sends may wait while Redis is away; without it they are refused. */
function outageOf(config: GatewayConfig): { outage?: { maxEvents: number; maxBytes: number } } {
  const { REDIS_OUTAGE, REDIS_OUTAGE_MAX_EVENTS: maxEvents, REDIS_OUTAGE_MAX_BYTES: maxBytes } = config
  return REDIS_OUTAGE === 'buffer' ? { outage: { maxEvents, maxBytes } } : {}
}
