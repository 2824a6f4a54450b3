import type { StreamTotals } from '@tributary/protocol'
import type { ErrorRate } from './error-rate.ts'
import type { Metrics, Observe } from './metrics.ts'
import { Tally } from './tally.ts'

/** Events that a reader who comes back may have to catch up on. */
const REPLAY_BUCKETS = [0, 1, 10, 100, 1_000, 10_000, 100_000]

/** Ends that no one wished for: the reader was too slow, or we could not read on. */
const FAILURES: readonly string[] = ['slow_consumer', 'upstream_lost', 'busy']

export interface StreamCounts {
  /** Events that slow readers went without. */
  readonly dropped: number
  /** Times that a reader was told of lost events. */
  readonly gaps: number
  /** Readers that came back and caught up. */
  readonly replays: number
  readonly replayedEvents: number
}

/** Counts what happens to streams: a `StreamMeter`. */
export class StreamMetrics {
  readonly #errorRate: ErrorRate
  readonly #ended = new Tally('reason')
  readonly #gaps = new Tally('reason')
  readonly #dropped = new Tally('reason')
  readonly #observeReplay: Observe
  #opened = 0
  #replays = 0
  #replayedEvents = 0

  constructor(metrics: Metrics, errorRate: ErrorRate) {
    this.#errorRate = errorRate
    metrics.counter(
      { name: 'tributary_streams_opened_total', help: 'Streams that were opened' },
      () => this.#opened,
    )
    metrics.counter(
      { name: 'tributary_streams_ended_total', help: 'Streams that ended, by why', labels: ['reason'] },
      () => this.#ended.samples(),
    )
    metrics.counter(
      {
        name: 'tributary_gaps_total',
        help: 'Times that a reader was told of lost events',
        labels: ['reason'],
      },
      () => this.#gaps.samples(),
    )
    metrics.counter(
      {
        name: 'tributary_events_dropped_total',
        help: 'Events that a slow reader went without',
        labels: ['reason'],
      },
      () => this.#dropped.samples(),
    )
    this.#observeReplay = metrics.histogram({
      name: 'tributary_replay_events',
      help: 'Events that a reader caught up on, each time it did',
      buckets: REPLAY_BUCKETS,
    })
  }

  /** The sums of what is counted here. */
  get counts(): StreamCounts {
    return {
      dropped: this.#dropped.total,
      gaps: this.#gaps.total,
      replays: this.#replays,
      replayedEvents: this.#replayedEvents,
    }
  }

  /** Adds what is told of all streams together, once there is who knows. */
  addTotals(metrics: Metrics, read: () => StreamTotals): void {
    const of = (pick: (totals: StreamTotals) => number) => () => pick(read())
    metrics.gauge(
      { name: 'tributary_streams_open', help: 'Streams that are open, of runs too' },
      of(({ open }) => open),
    )
    metrics.counter(
      { name: 'tributary_stream_events_sent_total', help: 'Events written to streams, replayed ones too' },
      of(({ events }) => events),
    )
    metrics.counter(
      { name: 'tributary_stream_sent_bytes_total', help: 'Bytes written to streams' },
      of(({ bytes }) => bytes),
    )
    metrics.gauge(
      {
        name: 'tributary_outbox_pending_bytes',
        help: 'Bytes that wait for readers, of all open streams together',
      },
      of(({ pendingBytes }) => pendingBytes),
    )
    metrics.gauge(
      { name: 'tributary_outbox_pending_max_bytes', help: 'Bytes that wait for the reader with the most' },
      of(({ maxPendingBytes }) => maxPendingBytes),
    )
  }

  opened(): void {
    this.#opened += 1
    this.#errorRate.count()
  }

  ended(reason: string): void {
    this.#ended.add(reason)
    if (FAILURES.includes(reason)) this.#errorRate.fail()
  }

  gap(reason: string): void {
    this.#gaps.add(reason)
  }

  dropped(reason: string): void {
    this.#dropped.add(reason)
  }

  replayed(events: number): void {
    this.#replays += 1
    this.#replayedEvents += events
    this.#observeReplay(events)
  }

  reset(): void {
    for (const tally of [this.#ended, this.#gaps, this.#dropped]) tally.reset()
    this.#opened = 0
    this.#replays = 0
    this.#replayedEvents = 0
  }
}
