/** What a configuration says of the runs of a service. */
export interface RunConfig {
  readonly RUN_MAX_EVENTS: number
  readonly RUN_MAX_AGE_MS: number
  readonly RUN_MAX_COUNT: number
  readonly RUN_MAX_TAKEOVERS: number
  readonly DISCONNECT_GRACE_MS: number
}

/** How a service keeps its runs, as a `RunRegistry` takes it. */
export function runOptionsOf(config: RunConfig) {
  return {
    maxEvents: config.RUN_MAX_EVENTS,
    maxAgeMs: config.RUN_MAX_AGE_MS,
    maxCount: config.RUN_MAX_COUNT,
    maxTakeovers: config.RUN_MAX_TAKEOVERS,
    disconnectGraceMs: config.DISCONNECT_GRACE_MS,
  }
}
