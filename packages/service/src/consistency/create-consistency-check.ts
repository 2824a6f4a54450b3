import type { Clock } from '@tributary/protocol'
import type { ServiceMetrics } from '../metrics/service-metrics.ts'
import { ConsistencyCheck, type ConsistencyCheckOptions, type FaultSource } from './consistency-check.ts'
import { addConsistencyMetrics } from './consistency-metrics.ts'

export interface CreateConsistencyCheckOptions {
  /** What the process calls itself in front of a fault. */
  readonly name: string
  readonly config: {
    readonly CONSISTENCY_CHECK_MS: number
    readonly CONSISTENCY_ACTION: ConsistencyCheckOptions['action']
  }
  readonly sources: readonly FaultSource[]
  readonly clock: Clock
  readonly logger: ConsistencyCheckOptions['log']
  readonly metrics: ServiceMetrics
}

/** The consistency check of a service, as its configuration says. It looks once it is begun. */
export function createConsistencyCheck(options: CreateConsistencyCheckOptions): ConsistencyCheck {
  const { name, config, sources, clock, logger, metrics } = options
  const check = new ConsistencyCheck({
    sources,
    clock,
    intervalMs: config.CONSISTENCY_CHECK_MS,
    action: config.CONSISTENCY_ACTION,
    log: logger,
    fail: (message) => {
      process.stderr.write(`${name}: ${message}\n`)
      process.exit(1)
    },
  })
  addConsistencyMetrics(metrics.registry, check)
  return check
}
