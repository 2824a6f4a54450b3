import type { OutboundClient } from '@tributary/outbound'
import { sensitiveHeaders } from '@tributary/protocol'
import type { HandlerRunner, RunRegistry } from '@tributary/runs'
import { messageFirst } from '@tributary/service'
import type { GatewayConfig } from './config.ts'
import type { GatewayBase } from './gateway-base.ts'
import { originsOf } from './relay/endpoint.ts'
import { OwedCancels } from './relay/owed-cancels.ts'
import { OwnRuns } from './relay/own-runs.ts'
import { Relays } from './relay/relays.ts'
import { RemoteRuns } from './relay/remote-runs.ts'
import { RunMirrors } from './relay/run-mirrors.ts'
import { SourceBuilder } from './relay/source-builder.ts'
import type { WorkerPool } from './relay/worker-pool.ts'

/** What an event has on the wire beside its data: its id, its names, and the quotes of an envelope. */
const MAX_FRAME_OVERHEAD_CHARS = 16_384

export interface OpenRelaysOptions extends GatewayBase {
  readonly pool: WorkerPool
  /** Reads what is relayed that is no worker's. */
  readonly client: OutboundClient
  readonly runs: RunRegistry
  readonly handlers: HandlerRunner
}

/** The runs of workers as they are read here, and those that this gateway has of its own: relays, merges and hybrid ones. */
export async function openRelays(config: GatewayConfig, options: OpenRelaysOptions) {
  const { backends, clock, random, logger, pool, client, runs, handlers } = options
  const { store, cluster, clustered } = backends
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
      fetch: (url, init) => client.fetch(url, init),
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
    clustered,
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
  return { remoteRuns, mirrors, owedCancels, ownRuns, relays }
}
