import type { Metrics } from '../metrics/metrics.ts'
import type { ConsistencyCheck } from './consistency-check.ts'

const MS_PER_S = 1_000

/** Adds what the consistency check has found. */
export function addConsistencyMetrics(registry: Metrics, check: ConsistencyCheck): void {
  registry.counter(
    {
      name: 'tributary_consistency_faults_total',
      help: 'What was held and did not fit together, by what it was',
      labels: ['kind'],
    },
    () => Object.entries(check.totals).map(([kind, value]) => ({ labels: { kind }, value })),
  )
  registry.gauge(
    {
      name: 'tributary_consistency_checked_seconds',
      help: 'When it was last looked at, in seconds since 1970; 0 before the first time',
    },
    () => (check.last?.checkedAt ?? 0) / MS_PER_S,
  )
}
