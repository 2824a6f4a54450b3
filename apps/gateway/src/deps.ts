import { fileURLToPath } from 'node:url'
import { Hub } from '@tributary/hub'
import { requestWhole } from '@tributary/outbound'
import { type Clock, sensitiveHeaders, systemClock } from '@tributary/protocol'
import { HandlerRegistry, HandlerRunner, RunRegistry, simulatedTask } from '@tributary/runs'
import {
  createAuth,
  createConsistencyCheck,
  createLogger,
  credentialOf,
  Drain,
  fromVariable,
  messageFirst,
  Revocations,
  Revoker,
  ServiceMetrics,
  type VerifySession,
} from '@tributary/service'
import { StreamServer } from '@tributary/sse'
import { RunReplies } from '@tributary/sse/fastify'
import { openGatewayBackends } from './backends.ts'
import type { GatewayConfig } from './config.ts'
import { addGatewayMetrics, HubMetrics } from './gateway-metrics.ts'
import { hubHistoryOf, sessionHistoryMs } from './hub-history.ts'
import { createOutboundClients } from './outbound-clients.ts'
import { OwnedConnections } from './owned-connections.ts'
import { originsOf } from './relay/endpoint.ts'
import { OwedCancels } from './relay/owed-cancels.ts'
import { OwnRuns } from './relay/own-runs.ts'
import { Relays } from './relay/relays.ts'
import { RemoteRuns } from './relay/remote-runs.ts'
import { RunMirrors } from './relay/run-mirrors.ts'
import { SourceBuilder } from './relay/source-builder.ts'
import { openWebhooks } from './webhooks/webhooks.ts'
import { createWorkers } from './workers.ts'

/** The handlers that come with the gateway. */
const SHIPPED_HANDLERS = fileURLToPath(new URL('../handlers/', import.meta.url))

/** How long a session stays whose it was when nothing of it is open or kept any more, in ms: a day. */
const SESSION_KEEP_MS = 86_400_000

/** What an event has on the wire beside its data: its id, its names, and the quotes of an envelope. */
const MAX_FRAME_OVERHEAD_CHARS = 16_384

export type Deps = Awaited<ReturnType<typeof createDeps>>

export interface DepsOptions {
  /** Default: the machine's. */
  readonly clock?: Clock
  /** Default: `Math.random`. */
  readonly random?: () => number
  /** Where log lines go. Default: standard output. */
  readonly logTo?: { write(line: string): void }
  /** How the application that this is a part of finds sessions of its own. Default: it has none. */
  readonly verifySession?: VerifySession
  /** Told why it is waited for a Redis that is not there yet. */
  readonly onWaiting?: ((reason: string) => void) | undefined
}

/** Everything the gateway is made of. What it keeps its state in is picked by `openGatewayBackends`. */
export async function createDeps(config: GatewayConfig, options: DepsOptions = {}) {
  const { clock = systemClock, random = Math.random, logTo, onWaiting } = options
  const logger = createLogger({
    name: 'gateway',
    level: config.LOG_LEVEL,
    ...(logTo === undefined ? {} : { destination: logTo }),
  })
  const development = config.NODE_ENV !== 'production'
  const metrics = new ServiceMetrics(clock)
  // Until all of it stands: who is told of a fault has nothing to close.
  await using opened = new AsyncDisposableStack()
  const backends = opened.use(
    await openGatewayBackends(config, { clock, random, logger, metrics, onWaiting }),
  )
  const { store, cluster } = backends
  metrics.cluster.addNodes(metrics.registry, () => cluster.nodes())
  const { clients, workerPolicy } = await createOutboundClients(config, clock)
  const handlers = new HandlerRunner({
    registry: await fromVariable('HANDLERS_DIR', () =>
      HandlerRegistry.load([SHIPPED_HANDLERS, ...(config.HANDLERS_DIR ? [config.HANDLERS_DIR] : [])]),
    ),
    request: (request, { signal }) => requestWhole(clients.handlers, request, signal),
    ...(development ? { unregistered: (name: string) => simulatedTask(name, clock) } : {}),
  })
  const runs = await RunRegistry.open({
    store,
    fleet: backends.fleet,
    clock,
    source: 'gateway',
    maxEvents: config.RUN_MAX_EVENTS,
    maxAgeMs: config.RUN_MAX_AGE_MS,
    maxCount: config.RUN_MAX_COUNT,
    maxTakeovers: config.RUN_MAX_TAKEOVERS,
    disconnectGraceMs: config.DISCONNECT_GRACE_MS,
    quota: backends.quotas.runs,
    meter: metrics.runs,
    onError: (error, runId) => logger.error({ err: error, runId }, 'run failed'),
  })
  const revocations = new Revocations({
    store: backends.revocations,
    clock,
    keptS: config.AUTH_REVOCATION_KEPT_S,
  })
  const streams = new StreamServer({
    clock,
    expiryWarningMs: config.AUTH_EXPIRY_WARNING_MS,
    isRevoked: (credential) => revocations.isRevoked(credential),
    heartbeatMs: config.HEARTBEAT_MS,
    retryMs: config.RETRY_MS,
    outboxMaxBytes: config.OUTBOX_MAX_BYTES,
    outboxMaxEvents: config.OUTBOX_MAX_EVENTS,
    meter: metrics.streams,
    maxStreams: config.MAX_CONNECTIONS,
    maxStreamsPerAddress: config.MAX_CONNECTIONS_PER_ADDRESS,
    readers: backends.quotas.runStreams,
    streamsPerS: config.CONNECT_RATE_PER_S,
    framesPerS: config.CONNECTION_EVENTS_PER_S,
    random,
  })
  const runReplies = new RunReplies({
    streams,
    credentialOf,
    timeoutMs: config.STREAM_TIMEOUT_MS,
    maxTimeoutMs: config.STREAM_MAX_TIMEOUT_MS,
    onError: (error, runId) => logger.error({ err: error, runId }, 'log cannot be read'),
  })
  const hubMetrics = new HubMetrics(metrics.registry)
  const webhooks = await openWebhooks(config, {
    store,
    cluster,
    client: clients.webhooks,
    clock,
    random,
    metrics: metrics.registry,
    clustered: backends.clustered,
    warn: (message, fields) => logger.warn(fields, message),
  })
  const hub = await Hub.open({
    store,
    cluster,
    ...(webhooks === undefined ? {} : { observer: webhooks.queue }),
    ...(backends.registry === undefined ? {} : { registry: backends.registry }),
    maxConnectionsCluster: config.MAX_CONNECTIONS_CLUSTER,
    presenceGraceMs: config.PRESENCE_GRACE_MS,
    presenceMetadata: config.PRESENCE_METADATA,
    meter: hubMetrics,
    clock,
    streams,
    timeoutMs: config.STREAM_TIMEOUT_MS,
    maxTimeoutMs: config.STREAM_MAX_TIMEOUT_MS,
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
  const revoker = new Revoker({
    revocations,
    store: backends.revocations,
    cluster,
    endRevoked: () => streams.endRevoked(),
  })
  const consistency = createConsistencyCheck({
    name: 'gateway',
    config,
    clock,
    metrics,
    logger,
    sources: [
      { name: 'streams', look: () => streams.faults() },
      { name: 'connections', look: () => hub.faults() },
      { name: 'registered connections', look: () => hub.registryFaults() },
      { name: 'runs of users', look: () => backends.quotas.runs.faults() },
      { name: 'streams of users', look: () => backends.quotas.runStreams.faults() },
    ],
  })
  const workers = createWorkers(config, {
    client: clients.workers,
    policy: workerPolicy,
    cluster,
    clustered: backends.clustered,
    clock,
    random,
  })
  const { pool, workerChecks } = workers
  addGatewayMetrics({ metrics, store, hub, streams, runs, workerChecks })
  const remoteRuns = new RemoteRuns(pool)
  const upstream = {
    clock,
    random,
    maxEventChars: config.MAX_EVENT_BYTES + MAX_FRAME_OVERHEAD_CHARS,
    giveUpMs: config.UPSTREAM_GIVE_UP_MS,
  }
  const mirrors = new RunMirrors({
    ...upstream,
    pool,
    remoteRuns,
    maxEvents: config.RUN_MAX_EVENTS,
    heartbeatMs: config.HEARTBEAT_MS,
  })
  const allowedOrigins = originsOf(config.RELAY_ALLOWED_ORIGINS)
  const owedCancels = await OwedCancels.open({ store, pool, cluster, clock })
  const ownRuns = new OwnRuns({
    sources: new SourceBuilder({
      ...upstream,
      pool,
      remoteRuns,
      mirrors,
      owedCancels,
      fetch: (url, init) => clients.relays.fetch(url, init),
    }),
    handlers,
    clock,
    log: messageFirst(logger),
    allowedOrigins,
    maxEventBytes: config.MAX_EVENT_BYTES,
    maxTasks: config.MAX_TASKS,
    taskTimeoutMs: config.TASK_TIMEOUT_MS,
    concurrency: config.TASK_CONCURRENCY,
    maxConcurrency: config.TASK_CONCURRENCY_MAX,
    clustered: backends.clustered,
    sensitiveHeaders: sensitiveHeaders(config.SENSITIVE_HEADERS),
  })
  const relays = new Relays({
    pool,
    remoteRuns,
    mirrors,
    runs,
    ownRuns,
    clock,
    allowedOrigins,
    onceWindowMs: config.IDEMPOTENCY_WINDOW_MS,
  })
  const auth = await createAuth(config, {
    clock,
    revocations,
    verifySession: options.verifySession,
    onKeysFault: (error) => logger.error({ err: error }, 'the keys of tokens cannot be had'),
  })
  const drain = new Drain({ limitMs: config.DRAIN_MS, logger, clock })
  await webhooks?.sender.start()
  opened.move()
  return {
    config,
    clock,
    logger,
    metrics,
    store,
    cluster,
    handlers,
    runs,
    streams,
    runReplies,
    hub,
    hubMetrics,
    pool,
    announcedWorkers: workers.announced,
    workerChecks,
    remoteRuns,
    mirrors,
    ownRuns,
    owedCancels,
    sessionOwners,
    ownedConnections: new OwnedConnections({ hub, cluster }),
    relays,
    ...auth,
    revocations,
    revoker,
    rateStore: backends.rateStore,
    /** How the limits are counted, where that is told: among many nodes. */
    limitsHealth: () => (backends.rateStore === undefined ? {} : { limits: backends.limits.health }),
    consistency,
    drain,
    async close(): Promise<void> {
      consistency.close()
      await runs.close()
      workers.announced[Symbol.dispose]()
      owedCancels.close()
      mirrors.close()
      await hub[Symbol.asyncDispose]()
      await webhooks?.sender.close()
      await handlers.close()
      await Promise.all(Object.values(clients).map((client) => client.close()))
      await backends[Symbol.asyncDispose]()
      metrics.close()
    },
  }
}
