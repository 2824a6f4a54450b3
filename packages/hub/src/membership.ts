import type { Cluster } from '@tributary/cluster'
import type { EventLog } from '@tributary/eventlog'
import type { Clock } from '@tributary/protocol'
import type { StreamServer } from '@tributary/sse'
import { ConnectionChanges } from './connection-changes.ts'
import { NO_OBSERVER } from './connection-observer.ts'
import { DEFAULT_HISTORY_MAX_AGE_MS } from './history-retention.ts'
import { HubConnections } from './hub-connections.ts'
import { HubNodes } from './hub-nodes.ts'
import {
  DEFAULT_PRESENCE_GRACE_MS,
  DEFAULT_SOURCE,
  DEFAULT_STREAM_MAX_TIMEOUT_MS,
  type HubOptions,
} from './hub-options.ts'
import { HubPresence } from './hub-presence.ts'
import { LocalHub } from './local-hub.ts'
import { Registrations } from './registrations.ts'
import type { ConnectionRegistry } from './registry/connection-registry.ts'
import { LocalConnectionRegistry } from './registry/local-connection-registry.ts'
import { LoggedStayRecords } from './registry/stay-records.ts'
import { DEFAULT_IDEMPOTENCY_WINDOW_MS } from './send-once.ts'
import { UserLimit } from './user-limit.ts'

/** When to try again to register what could not be, in ms. */
const RECONCILE_RETRY_MS = 1_000
/** Entries of a node that is gone that are removed at a time. */
const GONE_BATCH = 500

interface MembershipOptions {
  readonly hub: HubOptions
  readonly log: EventLog
  readonly registry: ConnectionRegistry
  readonly cluster: Cluster
  readonly clock: Clock
  readonly streams: StreamServer
}

/** The registry of a hub that has none: of this process alone, its stays kept with the log where that is. */
export async function openLocalRegistry(
  { store, clock, presenceGraceMs: graceMs = DEFAULT_PRESENCE_GRACE_MS, observer }: HubOptions,
  namespace: string,
): Promise<ConnectionRegistry> {
  const rules = { graceMs, announceAll: observer?.wantsPresence ?? false }
  const own = { rules, ...(clock === undefined ? {} : { clock }) }
  if (!store.durable) return new LocalConnectionRegistry(own)
  const log = await store.open(`${namespace}:presence`, { retention: () => ({ maxEvents: 0, maxAgeMs: 0 }) })
  return new LocalConnectionRegistry({ ...own, records: new LoggedStayRecords(log) })
}

/** What makes a hub one of several: who is connected to which, who is where, and what nodes ask of each other. */
export interface Membership {
  /** For how long joins and leaves of a group are announced to who asks for them now, in ms. */
  readonly watchMs: number
  readonly presence: HubPresence
  readonly registrations: Registrations
  readonly connections: HubConnections
  readonly changes: ConnectionChanges
  readonly local: LocalHub
  readonly nodes: HubNodes
  /** Stops all that it does by itself. */
  end(): void
}

export function createMembership({
  hub,
  log,
  registry,
  cluster,
  clock,
  streams,
}: MembershipOptions): Membership {
  const { maxTimeoutMs = DEFAULT_STREAM_MAX_TIMEOUT_MS, historyMaxAgeMs = DEFAULT_HISTORY_MAX_AGE_MS } = hub
  // For as long as who asks for it now may read, and come back for what he missed.
  const watchMs = maxTimeoutMs + (hub.history?.groups?.maxAgeMs ?? historyMaxAgeMs)
  const { observer = NO_OBSERVER } = hub
  const presence = new HubPresence({
    registry,
    log,
    clock,
    source: hub.source ?? DEFAULT_SOURCE,
    graceMs: hub.presenceGraceMs ?? DEFAULT_PRESENCE_GRACE_MS,
    onceWindowMs: hub.idempotencyWindowMs ?? DEFAULT_IDEMPOTENCY_WINDOW_MS,
    observer,
  })
  const { max: maxPerUser, policy } = new UserLimit(hub)
  const registrations: Registrations = new Registrations({
    registry,
    nodeId: cluster.nodeId,
    limits: {
      maxPerUser,
      policy,
      maxTotal: hub.maxConnectionsCluster ?? 0,
      duplicate: hub.duplicateConnection ?? 'refuse',
    },
    watchMs,
    shownMetadata: hub.presenceMetadata ?? [],
    presence,
    onDisplaced: (entries) => nodes.replace(entries),
    check: (entries) => nodes.check(entries),
    onUnavailable: () => reconcileSoon(),
  })
  const connections = new HubConnections({ hub, log, streams, clock, registrations })
  const changes = new ConnectionChanges({ index: connections.index, streams, registrations })
  const local = new LocalHub(cluster.nodeId, connections)
  const nodes: HubNodes = new HubNodes({ cluster, local, connections, registrations })
  let cancelReconcile: (() => void) | undefined
  let isEnded = false

  function reconcileSoon(): void {
    if (isEnded) return
    cancelReconcile ??= clock.after(RECONCILE_RETRY_MS, () => {
      cancelReconcile = undefined
      registrations.reconcile().catch(reconcileSoon)
    })
  }

  const ends = [
    cluster.onRejoined(async () => {
      await registrations.reconcile()
      await presence.sweep()
    }),
    cluster.onNodeGone(async ({ nodeId }) => {
      for (;;) {
        const { entries } = await registry.ofNode(nodeId, { limit: GONE_BATCH })
        if (entries.length === 0) break
        await Promise.all(entries.map((entry) => observer.disconnected(entry, 'node_gone')))
        await registry.remove(entries)
      }
      presence.leftSoon()
      await presence.sweep()
    }),
  ]
  return {
    watchMs,
    presence,
    registrations,
    connections,
    changes,
    local,
    nodes,
    end(): void {
      isEnded = true
      cancelReconcile?.()
      presence.close()
      nodes.end()
      for (const end of ends) end()
    },
  }
}
