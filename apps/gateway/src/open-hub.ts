import { Hub } from '@tributary/hub'
import type { OutboundClient } from '@tributary/outbound'
import { streamTimesOf } from '@tributary/service'
import type { StreamServer } from '@tributary/sse'
import type { GatewayConfig } from './config.ts'
import type { GatewayBase } from './gateway-base.ts'
import { HubMetrics } from './gateway-metrics.ts'
import { hubHistoryOf, sessionHistoryMs } from './hub-history.ts'
import { openWebhooks } from './webhooks/webhooks.ts'

/** How long a session stays whose it was when nothing of it is open or kept any more, in ms: a day. */
const SESSION_KEEP_MS = 86_400_000

export interface OpenHubOptions extends GatewayBase {
  readonly streams: StreamServer
  /** Sends the webhooks. */
  readonly client: OutboundClient
}

/** The hub, who is told of its connections, and whose the sessions of these are. */
export async function openHub(config: GatewayConfig, options: OpenHubOptions) {
  const { backends, clock, random, metrics, logger, streams, client } = options
  const { store, cluster, registry, clustered } = backends
  const hubMetrics = new HubMetrics(metrics.registry)
  const webhooks = await openWebhooks(config, {
    store,
    cluster,
    client,
    clock,
    random,
    metrics: metrics.registry,
    clustered,
    warn: (message, fields) => logger.warn(fields, message),
  })
  const hub = await Hub.open({
    ...streamTimesOf(config),
    store,
    cluster,
    ...(webhooks === undefined ? {} : { observer: webhooks.queue }),
    ...(registry === undefined ? {} : { registry }),
    maxConnectionsCluster: config.MAX_CONNECTIONS_CLUSTER,
    presenceGraceMs: config.PRESENCE_GRACE_MS,
    presenceMetadata: config.PRESENCE_METADATA,
    meter: hubMetrics,
    clock,
    streams,
    maxConnectionsPerUser: config.MAX_CONNECTIONS_PER_USER,
    connectionLimitPolicy: config.CONNECTION_LIMIT_POLICY,
    maxEventBytes: config.MAX_EVENT_BYTES,
    historyMaxEvents: config.HISTORY_MAX_EVENTS,
    historyMaxBytes: config.HISTORY_MAX_BYTES,
    historyMaxAgeMs: config.HISTORY_MAX_AGE_MS,
    historyUserMaxAgeMs: config.HISTORY_USER_MAX_AGE_MS,
    history: hubHistoryOf(config),
    idempotencyWindowMs: config.IDEMPOTENCY_WINDOW_MS,
  })
  const sessionOwners = await backends.openSessionOwners({
    keepMs: SESSION_KEEP_MS + config.STREAM_MAX_TIMEOUT_MS + sessionHistoryMs(config),
    onTaken: (userId) => void hub.closeUser(userId, 'The session is that of a user from now on'),
    onLost: (sessionId, userId) => {
      for (const connection of hub.local.connectionsOfUser(userId)) {
        if (connection.sessionId === sessionId)
          hub.local.close(connection.connectionId, 'The session is another user’s')
      }
    },
  })
  return { hub, hubMetrics, webhooks, sessionOwners }
}
