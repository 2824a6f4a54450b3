import { setTimeout } from 'node:timers/promises'
import { getHeapStatistics } from 'node:v8'
import type {
  GatewayHealth as Answer,
  ComponentHealth,
  GatewayMetrics,
  ProbeResult,
  UpstreamView,
} from '@tributary/protocol'
import type { NodeOperations } from '@tributary/service'
import type { Deps } from './deps.ts'

/** From here on a part is worse than it should be, and from the second on it does not do what it is there for. */
const PROBE_SLOW_MS = 500
/** How long the connections of all nodes may take to count, in ms. */
const COUNT_BOUND_MS = 1_000
const LOOP_LATE_MS = { degraded: 100, failing: 1_000 }
const HEAP_FULL = { degraded: 0.85, failing: 0.95 }
const ERROR_RATE_HIGH = 0.05

const OK: ComponentHealth = { status: 'ok' }

type HealthDeps = Pick<
  Deps,
  'hub' | 'store' | 'streams' | 'metrics' | 'workerChecks' | 'consistency' | 'limitsHealth'
>

/** What a gateway tells of itself to who watches it. */
export class GatewayHealth {
  readonly #deps: HealthDeps
  readonly #nodes: Pick<NodeOperations, 'shares'> | undefined

  /** @param nodes without it nothing is told of other gateways. */
  constructor(deps: HealthDeps, nodes?: Pick<NodeOperations, 'shares'>) {
    this.#deps = deps
    this.#nodes = nodes
  }

  /** What was counted, and how the process is. */
  metrics(): GatewayMetrics {
    const { hub, streams, metrics } = this.#deps
    const { gaps, replays, replayedEvents } = metrics.streams.counts
    const { open, pendingBytes } = streams.totals()
    const { rss, heapUsed, external } = process.memoryUsage()
    return {
      ...hub.stats(),
      gaps,
      replays,
      eventsReplayed: replayedEvents,
      errors: metrics.errorRate.failures,
      errorsByCategory: metrics.requests.problemsByCategory(),
      errorRate: metrics.errorRate.value,
      openStreams: open,
      pendingBytes,
      uptimeMs: Math.round(process.uptime() * 1_000),
      memory: {
        rssBytes: rss,
        heapUsedBytes: heapUsed,
        heapLimitBytes: getHeapStatistics().heap_size_limit,
        externalBytes: external,
      },
      eventLoopDelay: metrics.eventLoop.read(),
    }
  }

  /** How each part is, and the whole. @param details whether all that is known is told, too. */
  async read(details: boolean): Promise<Answer> {
    const [flow, upstreams, total] = await Promise.all([
      this.#probe(),
      this.#deps.workerChecks.run(),
      this.#total(),
    ])
    const metrics = this.metrics()
    const { errorRate } = metrics
    const vital = { store: this.#store(), fanOut: flow.health }
    const components: Record<string, ComponentHealth> = {
      ...vital,
      ...this.#deps.limitsHealth(),
      eventLoop: eventLoopHealth(metrics),
      memory: memoryHealth(metrics),
      ...Object.fromEntries(upstreams.map((upstream) => [upstream.name, upstreamHealth(upstream)])),
    }
    const { proof } = flow
    const { last: consistency } = this.#deps.consistency
    return {
      status: overall(vital, components, errorRate),
      connections: {
        total: total ?? metrics.activeConnections,
        local: { total: metrics.activeConnections },
      },
      errorRate,
      components,
      ...(details
        ? {
            details: {
              metrics,
              upstreams,
              nodes: (await this.#nodes?.shares()) ?? [],
              ...(proof === undefined ? {} : { probe: proof }),
              ...(consistency === undefined ? {} : { consistency }),
            },
          }
        : {}),
    }
  }

  #store(): ComponentHealth {
    const { health } = this.#deps.store
    return health.status === 'ok' ? OK : { status: 'failing', reason: health.reason }
  }

  /** The connections of all nodes; `undefined` where the others cannot be asked in time. */
  async #total(): Promise<number | undefined> {
    const late = new AbortController()
    const counted = this.#deps.hub.count().catch(() => undefined)
    const tooLate = setTimeout(COUNT_BOUND_MS, undefined, { signal: late.signal }).catch(() => undefined)
    const total = await Promise.race([counted, tooLate])
    late.abort()
    return total
  }

  async #probe(): Promise<{ readonly health: ComponentHealth; readonly proof?: ProbeResult }> {
    try {
      const proof = await this.#deps.hub.probe()
      if (proof.tookMs < PROBE_SLOW_MS) return { health: OK, proof }
      return {
        health: { status: 'degraded', reason: `an event took ${proof.tookMs} ms to come through` },
        proof,
      }
    } catch (error) {
      return { health: { status: 'failing', reason: error instanceof Error ? error.message : String(error) } }
    }
  }
}

function overall(
  vital: Readonly<Record<string, ComponentHealth>>,
  components: Readonly<Record<string, ComponentHealth>>,
  errorRate: number,
): Answer['status'] {
  if (Object.values(vital).some(({ status }) => status === 'failing')) return 'failing'
  const isWell = Object.values(components).every(({ status }) => status === 'ok')
  return isWell && errorRate < ERROR_RATE_HIGH ? 'ok' : 'degraded'
}

function eventLoopHealth({ eventLoopDelay: { p99Ms } }: GatewayMetrics): ComponentHealth {
  return beyond(
    p99Ms,
    LOOP_LATE_MS,
    `one turn in a hundred is ${Math.round(p99Ms)} ms late; give it less to do`,
  )
}

function memoryHealth({ memory: { heapUsedBytes, heapLimitBytes } }: GatewayMetrics): ComponentHealth {
  const part = heapUsedBytes / heapLimitBytes
  const reason = `${Math.round(part * 100)} % of the heap is used; raise --max-old-space-size, or keep less history`
  return beyond(part, HEAP_FULL, reason)
}

function beyond(
  value: number,
  { degraded, failing }: { readonly degraded: number; readonly failing: number },
  reason: string,
): ComponentHealth {
  if (value < degraded) return OK
  return { status: value < failing ? 'degraded' : 'failing', reason }
}

function upstreamHealth({ state }: UpstreamView): ComponentHealth {
  switch (state) {
    case 'up':
      return OK
    case 'degraded':
      return { status: 'degraded', reason: 'it says that a part of it is not well; see its own health' }
    case 'draining':
      return { status: 'degraded', reason: 'it is about to stop' }
    case 'down':
      return { status: 'failing', reason: 'it does not answer; see that it runs, and that it can be reached' }
  }
}
