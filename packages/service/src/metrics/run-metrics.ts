import type { Metrics, Observe, Sample } from './metrics.ts'
import { Tally } from './tally.ts'

/** Seconds that a task may take, up to the most that a request can ask for. */
const TASK_BUCKETS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600]
/** The same of a run. */
const RUN_BUCKETS = [0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 86_400]
const MS_PER_S = 1_000

/** Counts what becomes of runs and their tasks: a `RunMeter`. */
export class RunMetrics {
  readonly #started = new Tally('kind')
  readonly #retries = new Tally('code')
  readonly #tasks = new Map<string, { labels: { state: string; code: string }; value: number }>()
  readonly #observeRun: Observe
  readonly #observeTask: Observe

  constructor(metrics: Metrics) {
    metrics.counter(
      { name: 'tributary_runs_started_total', help: 'Runs that were accepted', labels: ['kind'] },
      () => this.#started.samples(),
    )
    this.#observeRun = metrics.histogram({
      name: 'tributary_run_duration_seconds',
      help: 'How long runs took that ended, by kind and state',
      labels: ['kind', 'state'],
      buckets: RUN_BUCKETS,
    })
    metrics.counter(
      {
        name: 'tributary_tasks_total',
        help: 'Tasks that ended; code is empty where they succeeded',
        labels: ['state', 'code'],
      },
      (): Iterable<Sample> => this.#tasks.values(),
    )
    metrics.counter(
      {
        name: 'tributary_task_retries_total',
        help: 'Attempts that failed and were tried again',
        labels: ['code'],
      },
      () => this.#retries.samples(),
    )
    this.#observeTask = metrics.histogram({
      name: 'tributary_task_duration_seconds',
      help: 'How long tasks took that began, with all their attempts',
      buckets: TASK_BUCKETS,
    })
  }

  /** Adds in what states the runs are, once there is who knows. */
  addStates(metrics: Metrics, read: () => ReadonlyMap<string, number>): void {
    metrics.gauge(
      {
        name: 'tributary_runs',
        help: 'Runs that are known, by state: under way and kept',
        labels: ['state'],
      },
      () => [...read()].map(([state, value]) => ({ labels: { state }, value })),
    )
  }

  /** Adds how many wait for a node, once there is who knows. */
  addQueued(metrics: Metrics, read: () => number): void {
    metrics.gauge(
      {
        name: 'tributary_runs_queued',
        help: 'Runs that were accepted here and wait for a node, whose logs are followed until one has them',
      },
      read,
    )
  }

  started(kind: string): void {
    this.#started.add(kind)
  }

  ended(kind: string, state: string, durationMs: number): void {
    this.#observeRun(durationMs / MS_PER_S, { kind, state })
  }

  taskRetried(code: string): void {
    this.#retries.add(code)
  }

  taskEnded(code: string | undefined, durationMs: number | undefined): void {
    const state = code === undefined ? 'succeeded' : 'failed'
    const count = this.#tasks.get(code ?? '')
    if (count === undefined) this.#tasks.set(code ?? '', { labels: { state, code: code ?? '' }, value: 1 })
    else count.value += 1
    if (durationMs !== undefined) this.#observeTask(durationMs / MS_PER_S)
  }
}
