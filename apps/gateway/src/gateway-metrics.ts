import type { EventStore } from '@tributary/eventlog'
import type { Hub, HubMeter } from '@tributary/hub'
import type { ErrorCode } from '@tributary/protocol'
import type { RunRegistry } from '@tributary/runs'
import { type Metrics, type Observe, type Sample, type ServiceMetrics, Tally } from '@tributary/service'
import type { StreamServer } from '@tributary/sse'
import type { WorkerChecks } from './relay/worker-checks.ts'

/** Seconds from the call that publishes an event to the sockets of its readers. */
const DELIVERY_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
const MS_PER_S = 1_000

/** Counts what happens at the hub. */
export class HubMetrics implements HubMeter {
  readonly #observe: Observe
  readonly #refused = new Tally('code')

  constructor(registry: Metrics) {
    this.#observe = registry.histogram({
      name: 'tributary_delivery_seconds',
      help: 'From the publishing of an event to the sockets of all who read it live',
      buckets: DELIVERY_BUCKETS,
    })
    registry.counter(
      {
        name: 'tributary_connections_refused_total',
        help: 'Connections that were refused',
        labels: ['code'],
      },
      () => this.#refused.samples(),
    )
  }

  delivered(tookMs: number): void {
    this.#observe(tookMs / MS_PER_S)
  }

  refused(code: ErrorCode): void {
    this.#refused.add(code)
  }

  reset(): void {
    this.#refused.reset()
  }
}

export interface GatewayMetricsOptions {
  readonly metrics: ServiceMetrics
  readonly store: EventStore
  readonly hub: Hub
  readonly streams: StreamServer
  readonly runs: RunRegistry
  readonly workerChecks: WorkerChecks
}

/** Adds what a gateway tells of itself when it is scraped. */
export function addGatewayMetrics(options: GatewayMetricsOptions): void {
  const { metrics, store, hub, streams, runs } = options
  const { registry } = metrics
  metrics.store.addHealth(registry, () => store.health.status === 'ok')
  metrics.streams.addTotals(registry, () => streams.totals())
  metrics.runs.addStates(registry, () => runs.counts())
  metrics.runs.addQueued(registry, () => runs.queuedCount)
  addHub(registry, hub)
  addUpstreams(registry, options)
  registry.gauge(
    { name: 'tributary_polls_waiting', help: 'Polls that wait for an event' },
    () => hub.stats().waitingPolls + streams.waitingPolls,
  )
}

function addHub(registry: Metrics, hub: Hub): void {
  registry.gauge(
    {
      name: 'tributary_connections',
      help: 'Open connections of users, and their polls that wait',
      labels: ['transport', 'state'],
    },
    () => connectionSamples(hub),
  )
  registry.counter(
    { name: 'tributary_connections_opened_total', help: 'Connections that were opened' },
    () => hub.stats().totalConnections,
  )
  registry.counter(
    { name: 'tributary_events_published_total', help: 'Events that were published, each once' },
    () => hub.stats().eventsPublished,
  )
  registry.counter(
    { name: 'tributary_events_delivered_total', help: 'Live events that outboxes took, once for each' },
    () => hub.stats().eventsDispatched,
  )
}

function connectionSamples(hub: Hub): Sample[] {
  const { connectionStates } = hub.local.status()
  const streams = Object.entries(connectionStates).map(([state, value]) => ({
    labels: { transport: 'sse', state },
    value,
  }))
  // A poll is there for as long as it waits: it is in no other state.
  const polls = { labels: { transport: 'polling', state: 'connected' }, value: hub.stats().waitingPolls }
  return [...streams, polls]
}

function addUpstreams(registry: Metrics, { workerChecks }: GatewayMetricsOptions): void {
  const labels = ['upstream']
  registry.gauge(
    { name: 'tributary_upstream_up', help: '1 where the worker answers and takes runs, else 0', labels },
    async () =>
      (await workerChecks.run()).map(({ url, state }) => ({
        labels: { upstream: url },
        value: Number(state === 'up' || state === 'degraded'),
      })),
  )
  registry.gauge(
    {
      name: 'tributary_upstream_streams',
      help: 'Runs that are read from the worker, or started there now',
      labels,
    },
    async () =>
      (await workerChecks.run()).map(({ url, streams }) => ({ labels: { upstream: url }, value: streams })),
  )
}
