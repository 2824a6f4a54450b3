import { fileURLToPath } from 'node:url'
import { openBackends } from '@tributary/backends'
import {
  AddressPolicy,
  nameServerLookup,
  OutboundClient,
  requestWhole,
  TRIBUTARY_VIA,
} from '@tributary/outbound'
import { type Clock, systemClock } from '@tributary/protocol'
import { HandlerRegistry, HandlerRunner, RunRegistry, simulatedTask } from '@tributary/runs'
import {
  createAuth,
  createConsistencyCheck,
  createLogger,
  credentialOf,
  Drain,
  fromVariable,
  Revocations,
  Revoker,
  runOptionsOf,
  ServiceMetrics,
  streamOptionsOf,
  streamTimesOf,
  type VerifySession,
  workerTokenVerifier,
} from '@tributary/service'
import { StreamServer } from '@tributary/sse'
import { RunReplies } from '@tributary/sse/fastify'
import type { WorkerConfig } from './config.ts'
import { HandlerPlaces } from './handler-places.ts'
import { RunLogProbe } from './run-log-probe.ts'
import { TaskScheduler } from './tasks/task-scheduler.ts'
import { TaskSecrets } from './tasks/task-secrets.ts'
import { WorkerAnnouncement } from './worker-announcement.ts'
import { addWorkerMetrics } from './worker-metrics.ts'

/** The handlers that come with the worker. */
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

/** Everything the worker is made of. What it keeps its state in is picked by `openBackends`. */
export async function createDeps(config: WorkerConfig, options: DepsOptions = {}) {
  const { clock = systemClock, random = Math.random, logTo, onWaiting } = options
  const logger = createLogger({
    name: 'worker',
    level: config.LOG_LEVEL,
    ...(logTo === undefined ? {} : { destination: logTo }),
  })
  const metrics = new ServiceMetrics(clock)
  // Until all of it stands: who is told of a fault has nothing to close.
  await using opened = new AsyncDisposableStack()
  const backends = opened.use(
    await openBackends(config, {
      service: 'worker',
      runsAtOnce: config.RUNS_CONCURRENCY,
      clock,
      random,
      logger,
      metrics,
      onWaiting,
    }),
  )
  const { store, cluster } = backends
  metrics.cluster.addNodes(metrics.registry, () => cluster.nodes())
  const samplesUrl = config.NODE_ENV === 'production' ? undefined : sampleUrl(config)
  const { OUTBOUND_DNS_SERVERS: servers } = config
  const lookup = await fromVariable('OUTBOUND_DNS_SERVERS', () =>
    servers.length === 0 ? undefined : nameServerLookup(servers),
  )
  const client = new OutboundClient({
    policy: await outboundPolicy(config, samplesUrl),
    connectTimeoutMs: config.UPSTREAM_CONNECT_TIMEOUT_MS,
    readTimeoutMs: config.UPSTREAM_READ_TIMEOUT_MS,
    sensitiveHeaders: config.SENSITIVE_HEADERS,
    via: TRIBUTARY_VIA,
    ...(lookup === undefined ? {} : { lookup }),
    clock,
  })
  const secrets = await fromVariable('TASK_SECRETS_FILE', () => TaskSecrets.load(config.TASK_SECRETS_FILE))
  const handlers = new HandlerRunner({
    registry: await fromVariable('HANDLERS_DIR', () =>
      HandlerRegistry.load([SHIPPED_HANDLERS, ...(config.HANDLERS_DIR ? [config.HANDLERS_DIR] : [])]),
    ),
    request: (request, { signal }) => requestWhole(client, request, signal),
    ...(samplesUrl === undefined
      ? {}
      : { sampleUrl: samplesUrl, unregistered: (name: string) => simulatedTask(name, clock) }),
  })
  const runs = await RunRegistry.open({
    store,
    clock,
    source: 'worker',
    ...runOptionsOf(config),
    quota: backends.quotas.runs,
    fleet: backends.fleet,
    meter: metrics.runs,
    onError: (error, runId) => logger.error({ err: error, runId }, 'run failed'),
  })
  const revocations = new Revocations({
    store: backends.revocations,
    clock,
    keptS: config.AUTH_REVOCATION_KEPT_S,
  })
  const streams = new StreamServer({
    ...streamOptionsOf(config),
    clock,
    isRevoked: (credential) => revocations.isRevoked(credential),
    meter: metrics.streams,
    readers: backends.quotas.runStreams,
    random,
  })
  const runReplies = new RunReplies({
    streams,
    credentialOf,
    ...streamTimesOf(config),
    onError: (error, runId) => logger.error({ err: error, runId }, 'log cannot be read'),
  })
  const scheduler = new TaskScheduler({
    perOrigin: config.TASK_CONCURRENCY_PER_ORIGIN,
    total: config.TASK_CONCURRENCY_TOTAL,
  })
  const revoker = new Revoker({
    revocations,
    store: backends.revocations,
    cluster,
    endRevoked: () => streams.endRevoked(),
  })
  const consistency = createConsistencyCheck({
    name: 'worker',
    config,
    clock,
    metrics,
    logger,
    sources: [
      { name: 'streams', look: () => streams.faults() },
      { name: 'runs of users', look: () => backends.quotas.runs.faults() },
      { name: 'runs that wait', look: () => runs.faults() },
      { name: 'streams of users', look: () => backends.quotas.runStreams.faults() },
    ],
  })
  const probe = new RunLogProbe({ store, streams, clock })
  addWorkerMetrics({ metrics, store, streams, runs, scheduler })
  const { authenticator } = await createAuth(config, {
    clock,
    verifySession: options.verifySession,
    workerTokens: workerTokenVerifier(config, clock),
    revocations,
    onKeysFault: (error) => logger.error({ err: error }, 'the keys of tokens cannot be had'),
  })
  const drain = new Drain({ limitMs: config.DRAIN_MS, logger, clock })
  const announcement = new WorkerAnnouncement({
    cluster,
    handlers,
    simulates: samplesUrl !== undefined,
    scheduler,
    runs,
    eventLoop: metrics.eventLoop,
    drain,
    clock,
  })
  opened.move()
  return {
    config,
    clock,
    random,
    logger,
    metrics,
    store,
    cluster,
    sampleUrl: samplesUrl,
    client,
    secrets,
    handlers,
    runs,
    streams,
    runReplies,
    scheduler,
    probe,
    revocations,
    authenticator,
    revoker,
    rateStore: backends.rateStore,
    /** How the limits are counted, where that is told: among many nodes. */
    limitsHealth: () => (backends.rateStore === undefined ? {} : { limits: backends.limits.health }),
    consistency,
    drain,
    announcement,
    handlerPlaces: new HandlerPlaces(cluster),
    clustered: backends.clustered,
    async close(): Promise<void> {
      consistency.close()
      announcement[Symbol.dispose]()
      await runs.close()
      await handlers.close()
      await client.close()
      await backends[Symbol.asyncDispose]()
      metrics.close()
    },
  }
}

/** What tasks may call: the configured addresses, and in development the sample API. */
function outboundPolicy(config: WorkerConfig, samplesUrl: string | undefined): Promise<AddressPolicy> {
  const samples = samplesUrl === undefined ? [] : [`${new URL(samplesUrl).hostname}:${config.WORKER_PORT}`]
  const allow = [...config.OUTBOUND_ALLOW, ...samples]
  return fromVariable(
    'OUTBOUND_ALLOW or OUTBOUND_DENY',
    () => new AddressPolicy({ allow, deny: config.OUTBOUND_DENY }),
  )
}

/** Where this process finds its own sample API. */
function sampleUrl({ HOST, WORKER_PORT }: WorkerConfig): string {
  const everywhere: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '[::1]' }
  const host = everywhere[HOST] ?? (HOST.includes(':') ? `[${HOST}]` : HOST)
  return `http://${host}:${WORKER_PORT}/api/sample`
}
