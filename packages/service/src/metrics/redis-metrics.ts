import type { Metrics, Observe } from './metrics.ts'
import { Tally } from './tally.ts'

/** What is read of the connections to Redis when somebody scrapes. */
export interface WatchedRedis {
  readonly status: { readonly state: 'up' | 'down'; readonly refusesWrites?: string }
  readonly subscriptions: {
    readonly counts: { readonly channels: number; readonly active: number }
    onInterrupted(listener: (channels: readonly string[]) => void): () => void
  }
  onDown(listener: (reason: string) => void): () => void
}

/** Seconds from a call to its answer. */
const ANSWER_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5]
const MS_PER_S = 1_000

/** Counts how it goes with Redis. Where there is none, it is all empty. */
export class RedisMetrics {
  readonly #observe: Observe
  readonly #reconnects = new Tally('connection')
  #watched: WatchedRedis | undefined
  #outages = 0
  #interruptions = 0

  constructor(metrics: Metrics) {
    metrics.gauge(
      {
        name: 'tributary_redis_state',
        help: '1 for what Redis is: up, refusing, or down',
        labels: ['state'],
      },
      () =>
        this.#perState(({ status: { state, refusesWrites } }) => ({
          up: state === 'up' && refusesWrites === undefined,
          refusing: refusesWrites !== undefined,
          down: state === 'down',
        })),
    )
    metrics.counter(
      { name: 'tributary_redis_outages_total', help: 'Times that Redis went away' },
      () => this.#outages,
    )
    metrics.counter(
      {
        name: 'tributary_redis_reconnects_total',
        help: 'Connections to Redis that were made anew, by what for',
        labels: ['connection'],
      },
      () => this.#reconnects.samples(),
    )
    metrics.gauge(
      {
        name: 'tributary_redis_channels',
        help: 'Channels that are listened on, by state: active at the server, or waiting for it',
        labels: ['state'],
      },
      () =>
        this.#perState(({ subscriptions: { counts } }) => ({
          active: counts.active,
          waiting: counts.channels - counts.active,
        })),
    )
    metrics.counter(
      {
        name: 'tributary_redis_interruptions_total',
        help: 'Channels that were subscribed again, on which messages may have been missed',
      },
      () => this.#interruptions,
    )
    this.#observe = metrics.histogram({
      name: 'tributary_redis_answer_seconds',
      help: 'How long Redis took to answer calls, the last attempt of each',
      buckets: ANSWER_BUCKETS,
    })
  }

  /** Tells of these connections from now on, as long as they last. */
  watch(redis: WatchedRedis): void {
    this.#watched = redis
    redis.onDown(() => {
      this.#outages += 1
    })
    redis.subscriptions.onInterrupted(({ length }) => {
      this.#interruptions += length
    })
  }

  reconnected(kind: 'commands' | 'subscriber' | 'blocking'): void {
    this.#reconnects.add(kind)
  }

  answered(tookMs: number): void {
    this.#observe(tookMs / MS_PER_S)
  }

  #perState(read: (redis: WatchedRedis) => Readonly<Record<string, number | boolean>>) {
    const states = this.#watched === undefined ? {} : read(this.#watched)
    return Object.entries(states).map(([state, value]) => ({ labels: { state }, value: Number(value) }))
  }
}
