import type { EventStore } from '@tributary/eventlog'
import type { RunRegistry } from '@tributary/runs'
import type { ServiceMetrics } from '@tributary/service'
import type { StreamServer } from '@tributary/sse'
import type { TaskScheduler } from './tasks/task-scheduler.ts'

export interface WorkerMetricsOptions {
  readonly metrics: ServiceMetrics
  readonly store: EventStore
  readonly streams: StreamServer
  readonly runs: RunRegistry
  readonly scheduler: TaskScheduler
}

/** Adds what a worker tells of itself when it is scraped. */
export function addWorkerMetrics({ metrics, store, streams, runs, scheduler }: WorkerMetricsOptions): void {
  const { registry } = metrics
  metrics.store.addHealth(registry, () => store.health.status === 'ok')
  metrics.streams.addTotals(registry, () => streams.totals())
  metrics.runs.addStates(registry, () => runs.counts())
  metrics.runs.addQueued(registry, () => runs.queuedCount)
  registry.gauge(
    { name: 'tributary_polls_waiting', help: 'Polls that wait for an event' },
    () => streams.waitingPolls,
  )
  registry.gauge(
    { name: 'tributary_task_attempts_active', help: 'Attempts of tasks that go on now' },
    () => scheduler.activeCount,
  )
}
