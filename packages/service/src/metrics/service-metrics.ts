import type { Clock } from '@tributary/protocol'
import type { App } from '../app.ts'
import { ClusterMetrics } from './cluster-metrics.ts'
import { ErrorRate } from './error-rate.ts'
import { EventLoopDelay } from './event-loop-delay.ts'
import { Metrics } from './metrics.ts'
import { RedisMetrics } from './redis-metrics.ts'
import { RequestMetrics } from './request-metrics.ts'
import { RunMetrics } from './run-metrics.ts'
import { StoreMetrics } from './store-metrics.ts'
import { StreamMetrics } from './stream-metrics.ts'

const MS_PER_S = 1_000

/** What both services count. Whoever makes it closes it. */
export class ServiceMetrics {
  readonly registry = new Metrics()
  readonly errorRate: ErrorRate
  readonly eventLoop: EventLoopDelay
  readonly requests: RequestMetrics
  readonly streams: StreamMetrics
  readonly runs: RunMetrics
  readonly store: StoreMetrics
  readonly cluster: ClusterMetrics
  readonly redis: RedisMetrics

  constructor(clock: Clock) {
    this.errorRate = new ErrorRate(clock)
    this.eventLoop = new EventLoopDelay(clock)
    this.requests = new RequestMetrics(this.registry, this.errorRate)
    this.streams = new StreamMetrics(this.registry, this.errorRate)
    this.runs = new RunMetrics(this.registry)
    this.store = new StoreMetrics(this.registry)
    this.cluster = new ClusterMetrics(this.registry)
    this.redis = new RedisMetrics(this.registry)
    this.#addOwn()
  }

  /** What is counted since the start is counted from now on, where the API tells it as a sum. */
  reset(): void {
    this.errorRate.reset()
    this.streams.reset()
    this.requests.reset()
  }

  close(): void {
    this.eventLoop.close()
  }

  #addOwn(): void {
    this.registry.gauge(
      {
        name: 'tributary_event_loop_delay_seconds',
        help: 'How late the event loop was over the last ten to twenty seconds',
        labels: ['quantile'],
      },
      () => {
        const { p50Ms, p99Ms, maxMs } = this.eventLoop.read()
        const quantiles = { '0.5': p50Ms, '0.99': p99Ms, '1': maxMs }
        return Object.entries(quantiles).map(([quantile, ms]) => ({
          labels: { quantile },
          value: ms / MS_PER_S,
        }))
      },
    )
    this.registry.gauge(
      {
        name: 'tributary_error_ratio',
        help: 'The part of the requests and streams of the last minute that failed',
      },
      () => this.errorRate.value,
    )
  }
}

/** Adds `GET /metrics`, which also answers while the service drains. */
export function addMetrics(app: App, { registry, requests }: ServiceMetrics): void {
  requests.watch(app)
  app.get(
    '/metrics',
    {
      config: { auth: 'none', whileDraining: 'serve', watching: true },
      logLevel: 'warn',
      schema: {
        tags: ['health'],
        summary: 'What the service counts, in the text format of Prometheus',
        produces: ['text/plain'],
      },
    },
    async (_request, reply) => {
      reply.headers({ 'content-type': registry.contentType, 'cache-control': 'no-store' })
      return registry.scrape()
    },
  )
}
