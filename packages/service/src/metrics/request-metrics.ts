import { ERROR_CATEGORIES, ERROR_CODES, type ErrorCategory, type ErrorCode } from '@tributary/protocol'
import type { FastifyReply } from 'fastify'
import type { App } from '../app.ts'
import type { ErrorRate } from './error-rate.ts'
import type { Metrics, Sample } from './metrics.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether the route is there to watch the service by. Its requests are not counted. Default false. */
    watching?: boolean
  }
}

/** What a request without a route is counted under. */
const NO_ROUTE = '(none)'
const FIRST_FAILURE = 500

interface RequestCount {
  readonly labels: Readonly<Record<'method' | 'route' | 'status', string>>
  value: number
}

/** Counts requests by route and status, and problems by code. Streams are not among the requests. */
export class RequestMetrics {
  readonly #errorRate: ErrorRate
  readonly #counts = new Map<string, RequestCount>()
  readonly #problems = new Map<ErrorCode, number>()
  #socketsDropped = 0
  readonly #atReset = emptyCounts()

  constructor(metrics: Metrics, errorRate: ErrorRate) {
    this.#errorRate = errorRate
    metrics.counter(
      {
        name: 'tributary_http_requests_total',
        help: 'Requests that were answered, without streams',
        labels: ['method', 'route', 'status'],
      },
      (): Iterable<Sample> => this.#counts.values(),
    )
    metrics.counter(
      {
        name: 'tributary_http_problems_total',
        help: 'Requests refused or failed, by code',
        labels: ['code', 'category'],
      },
      () => this.#problemSamples(),
    )
    metrics.counter(
      {
        name: 'tributary_sockets_dropped_total',
        help: 'Sockets without a request that were closed, as there were too many',
      },
      () => this.#socketsDropped,
    )
  }

  /** Counts the requests of an app from here on. */
  watch(app: App): void {
    app.addHook('onResponse', async (request, reply) => {
      const { config, url = NO_ROUTE } = request.routeOptions
      if (config.watching === true || isStream(reply)) return
      this.#count(request.method, request.is404 ? NO_ROUTE : url, reply.raw.statusCode)
    })
  }

  /** A socket was closed to make room for another. */
  socketDropped(): void {
    this.#socketsDropped += 1
  }

  /** A request is answered with a problem. */
  problem(code: ErrorCode): void {
    this.#problems.set(code, (this.#problems.get(code) ?? 0) + 1)
  }

  /** How many problems there were of each kind since the start, or since they were set back. */
  problemsByCategory(): Record<ErrorCategory, number> {
    const counts = emptyCounts()
    for (const [code, count] of this.#problems) counts[ERROR_CODES[code].category] += count
    for (const category of ERROR_CATEGORIES) counts[category] -= this.#atReset[category]
    return counts
  }

  /** Sets back what `problemsByCategory` tells. A counter of Prometheus never goes back. */
  reset(): void {
    const counts = this.problemsByCategory()
    for (const category of ERROR_CATEGORIES) this.#atReset[category] += counts[category]
  }

  #problemSamples(): Sample[] {
    return [...this.#problems].map(([code, value]) => ({
      labels: { code, category: ERROR_CODES[code].category },
      value,
    }))
  }

  #count(method: string, route: string, status: number): void {
    this.#errorRate.count()
    if (status >= FIRST_FAILURE) this.#errorRate.fail()
    const key = `${method} ${status} ${route}`
    const known = this.#counts.get(key)
    if (known === undefined) {
      this.#counts.set(key, { labels: { method, route, status: String(status) }, value: 1 })
    } else known.value += 1
  }
}

function emptyCounts(): Record<ErrorCategory, number> {
  return {
    connection: 0,
    authentication: 0,
    rate_limit: 0,
    server: 0,
    client: 0,
    validation: 0,
    timeout: 0,
  }
}

/** A stream is counted where it opens and ends, which may be an hour later. */
function isStream(reply: FastifyReply): boolean {
  return String(reply.getHeader('content-type') ?? '').startsWith('text/event-stream')
}
