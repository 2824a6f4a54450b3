import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** One value of a metric, and what tells it from the others. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>
  readonly value: number
}

/** What a metric stands at, asked for when somebody scrapes. */
export type ReadSamples = () => number | Iterable<Sample> | Promise<number | Iterable<Sample>>

export interface MetricOptions {
  /** `tributary_…`, with its unit; a counter ends in `_total`. */
  readonly name: string
  /** One line for whoever reads the scrape. */
  readonly help: string
  /** The labels of its samples. Default: none. */
  readonly labels?: readonly string[]
}

export interface HistogramOptions extends MetricOptions {
  /** The upper bounds, in the unit of the name. */
  readonly buckets: readonly number[]
}

/** Adds an observation to a histogram. */
export type Observe = (value: number, labels?: Readonly<Record<string, string>>) => void

/**
 * What a service tells Prometheus: a registry of its own, with the metrics of the process in it.
 *
 * Counters and gauges are read when they are scraped, from whoever counts; nothing is done for them in between.
 */
export class Metrics {
  readonly #registry = new Registry()

  constructor() {
    collectDefaultMetrics({ register: this.#registry })
    // These begin anew with each scrape, so two who scrape spoil each other's. `EventLoopDelay` tells the same of a time.
    for (const { name } of this.#registry.getMetricsAsArray()) {
      if (name.startsWith('nodejs_eventloop_lag')) this.#registry.removeSingleMetric(name)
    }
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** All there is, in the text format. */
  scrape(): Promise<string> {
    return this.#registry.metrics()
  }

  /** Adds what only rises, or begins anew. */
  counter(options: MetricOptions, read: ReadSamples): void {
    const counter: Counter = new Counter({
      ...this.#described(options),
      collect: async () => {
        const samples = samplesOf(await read())
        counter.reset()
        for (const { labels = {}, value } of samples) counter.inc(labels, value)
      },
    })
  }

  /** Adds what rises and falls. */
  gauge(options: MetricOptions, read: ReadSamples): void {
    const gauge: Gauge = new Gauge({
      ...this.#described(options),
      collect: async () => {
        const samples = samplesOf(await read())
        gauge.reset()
        for (const { labels = {}, value } of samples) gauge.set(labels, value)
      },
    })
  }

  /** Adds how often what was observed lay within which bounds. */
  histogram({ buckets, ...options }: HistogramOptions): Observe {
    const histogram = new Histogram({ ...this.#described(options), buckets: [...buckets] })
    return (value, labels) =>
      labels === undefined ? histogram.observe(value) : histogram.observe(labels, value)
  }

  #described({ name, help, labels = [] }: MetricOptions) {
    return { name, help, labelNames: [...labels], registers: [this.#registry] }
  }
}

function samplesOf(read: number | Iterable<Sample>): Iterable<Sample> {
  return typeof read === 'number' ? [{ value: read }] : read
}
