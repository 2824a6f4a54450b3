import type { Metrics, Observe } from './metrics.ts'

/** Seconds from the first append of a transaction to its end on the disk. */
const WRITE_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5]
const MS_PER_S = 1_000

/** Counts what a store does. */
export class StoreMetrics {
  readonly #observe: Observe
  #errors = 0

  constructor(metrics: Metrics) {
    this.#observe = metrics.histogram({
      name: 'tributary_store_append_seconds',
      help: 'How long appends waited until they were stored, the longest of each transaction',
      buckets: WRITE_BUCKETS,
    })
    metrics.counter(
      { name: 'tributary_store_errors_total', help: 'Writes and clean-ups of the store that failed' },
      () => this.#errors,
    )
  }

  /** Adds whether the store takes what is appended, once it is open. */
  addHealth(metrics: Metrics, isOk: () => boolean): void {
    metrics.gauge(
      { name: 'tributary_store_up', help: '1 where the last write was stored, 0 where it was not' },
      () => Number(isOk()),
    )
  }

  /** A transaction is stored, so long after its first append was asked for. */
  readonly appended = (tookMs: number): void => this.#observe(tookMs / MS_PER_S)

  failed(): void {
    this.#errors += 1
  }
}
