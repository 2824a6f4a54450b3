/** What a configuration says of how many runs one user may have. */
export interface RunLimitsConfig {
  readonly NODE_ENV: string
  readonly MAX_RUNS_PER_USER?: number
  readonly MAX_TASKS_PER_USER?: number
}

const PRODUCTION_RUNS = 100
const PRODUCTION_TASKS = 10_000

/** How many runs and open tasks one user may have at a time; 0 is no limit, as by default outside production. */
export function runLimitsOf({ NODE_ENV, MAX_RUNS_PER_USER, MAX_TASKS_PER_USER }: RunLimitsConfig) {
  const inProduction = (limit: number) => (NODE_ENV === 'production' ? limit : 0)
  return {
    maxRunsPerUser: MAX_RUNS_PER_USER ?? inProduction(PRODUCTION_RUNS),
    maxTasksPerUser: MAX_TASKS_PER_USER ?? inProduction(PRODUCTION_TASKS),
  }
}
