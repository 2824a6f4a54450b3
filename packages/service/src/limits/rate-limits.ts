import type { RateClass } from './rate-class.ts'

/** How many requests of each class one principal may send in a time. 0 is no limit. */
export interface RateLimits extends Readonly<Record<RateClass, number>> {
  /** Milliseconds. */
  readonly windowMs: number
}

/** What each class may have in production where nothing is said of it. */
const DEFAULT_MAX = 100

/** What a configuration says of rate limits. */
export interface RateLimitConfig {
  readonly NODE_ENV: string
  readonly RATE_LIMIT_WINDOW_MS: number
  readonly RATE_LIMIT_REQUESTS?: number
  readonly RATE_LIMIT_PUBLISHES?: number
  readonly RATE_LIMIT_CONNECTS?: number
  readonly RATE_LIMIT_RUNS?: number
}

/** The rate limits that a configuration asks for: in production 100 of each class, elsewhere none. */
export function rateLimitsOf(config: RateLimitConfig): RateLimits {
  const usual = config.NODE_ENV === 'production' ? DEFAULT_MAX : 0
  return {
    windowMs: config.RATE_LIMIT_WINDOW_MS,
    requests: config.RATE_LIMIT_REQUESTS ?? usual,
    publishes: config.RATE_LIMIT_PUBLISHES ?? usual,
    connects: config.RATE_LIMIT_CONNECTS ?? usual,
    runs: config.RATE_LIMIT_RUNS ?? usual,
  }
}
