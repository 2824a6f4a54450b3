/** What a configuration says of how many runs one user may have, and read. */
export interface RunLimitsConfig {
  readonly NODE_ENV: string
  readonly MAX_RUNS_PER_USER?: number
  readonly MAX_TASKS_PER_USER?: number
  readonly MAX_RUN_STREAMS_PER_USER?: number
}

/** How much of a kind one user may have at a time. 0 is no limit. */
interface UserLimits {
  readonly maxHolds: number
  readonly maxWeight: number
}

const PRODUCTION_RUNS = 100
const PRODUCTION_TASKS = 10_000
const PRODUCTION_RUN_STREAMS = 100

/** How many runs one user may have at a time, and what they may weigh: their open tasks. By default outside production any number. */
export function runLimitsOf(config: RunLimitsConfig): UserLimits {
  return {
    maxHolds: config.MAX_RUNS_PER_USER ?? inProduction(config, PRODUCTION_RUNS),
    maxWeight: config.MAX_TASKS_PER_USER ?? inProduction(config, PRODUCTION_TASKS),
  }
}

/** How many streams of runs one user may read at a time. By default outside production any number. */
export function runStreamLimitsOf(config: RunLimitsConfig): UserLimits {
  return {
    maxHolds: config.MAX_RUN_STREAMS_PER_USER ?? inProduction(config, PRODUCTION_RUN_STREAMS),
    maxWeight: 0,
  }
}

function inProduction({ NODE_ENV }: RunLimitsConfig, limit: number): number {
  return NODE_ENV === 'production' ? limit : 0
}
