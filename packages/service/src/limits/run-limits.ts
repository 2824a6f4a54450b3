/** What a configuration says of how many runs one user may have, and read. */
export interface RunLimitsConfig {
  readonly NODE_ENV: string
  readonly MAX_RUNS_PER_USER?: number
  readonly MAX_TASKS_PER_USER?: number
  readonly MAX_RUN_STREAMS_PER_USER?: number
}

const PRODUCTION_RUNS = 100
const PRODUCTION_TASKS = 10_000
const PRODUCTION_RUN_STREAMS = 100

/** How many runs and open tasks one user may have at a time; 0 is no limit, as by default outside production. */
export function runLimitsOf(config: RunLimitsConfig) {
  return {
    maxRunsPerUser: config.MAX_RUNS_PER_USER ?? inProduction(config, PRODUCTION_RUNS),
    maxTasksPerUser: config.MAX_TASKS_PER_USER ?? inProduction(config, PRODUCTION_TASKS),
  }
}

/** How many streams of runs one user may read at a time; 0 is no limit, as by default outside production. */
export function maxRunStreamsOf(config: RunLimitsConfig): number {
  return config.MAX_RUN_STREAMS_PER_USER ?? inProduction(config, PRODUCTION_RUN_STREAMS)
}

function inProduction({ NODE_ENV }: RunLimitsConfig, limit: number): number {
  return NODE_ENV === 'production' ? limit : 0
}
