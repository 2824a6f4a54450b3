import { fileURLToPath } from 'node:url'
import { requestWhole } from '@tributary/outbound'
import { type Clock, systemClock } from '@tributary/protocol'
import { HandlerRegistry, HandlerRunner, RunRegistry, simulatedTask } from '@tributary/runs'
import {
  createAuth,
  createConsistencyCheck,
  createLogger,
  Drain,
  fromVariable,
  isKeyOfProcess,
  runOptionsOf,
  ServiceMetrics,
  type VerifySession,
} from '@tributary/service'
import { openGatewayBackends } from './backends.ts'
import type { GatewayConfig } from './config.ts'
import { createStreams } from './create-streams.ts'
import type { GatewayBase } from './gateway-base.ts'
import { addGatewayMetrics } from './gateway-metrics.ts'
import { openHub } from './open-hub.ts'
import { openRelays } from './open-relays.ts'
import { createOutboundClients } from './outbound-clients.ts'
import { OwnedConnections } from './owned-connections.ts'
import { createWorkers } from './workers.ts'

/** The handlers that come with the gateway. */
const SHIPPED_HANDLERS = fileURLToPath(new URL('../handlers/', import.meta.url))

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
  const base: GatewayBase = { clock, random, logger, metrics, backends }
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
    ...runOptionsOf(config),
    quota: backends.quotas.runs,
    meter: metrics.runs,
    onError: (error, runId) => logger.error({ err: error, runId }, 'run failed'),
  })
  const { revocations, revoker, streams, runReplies } = createStreams(config, base)
  const { hub, hubMetrics, webhooks, sessionOwners } = await openHub(config, {
    ...base,
    streams,
    client: clients.webhooks,
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
      { name: 'runs that wait', look: () => runs.faults() },
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
    onStranger: (url) =>
      logger.warn({ url }, 'at the address of a worker something else answers: set its NODE_URL'),
  })
  const { pool, workerChecks } = workers
  addGatewayMetrics({ metrics, store, hub, streams, runs, workerChecks })
  const { remoteRuns, mirrors, owedCancels, ownRuns, relays } = await openRelays(config, {
    ...base,
    pool,
    client: clients.relays,
    runs,
    handlers,
  })
  const auth = await createAuth(config, {
    clock,
    revocations,
    verifySession: options.verifySession,
    onKeysFault: (error) => logger.error({ err: error }, 'the keys of tokens cannot be had'),
  })
  if (config.REDIS_URL !== undefined && isKeyOfProcess(config)) {
    logger.warn(
      'AUTH_SESSION_SECRET is not set: no other gateway accepts the stream tokens and sessions of this one',
    )
  }
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
