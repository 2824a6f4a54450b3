/** The longest wait before the first attempt to come back, until the server names another. */
export const DEFAULT_RETRY_MS = 1_000
/** No wait that the reader chooses, or `retry:` asks for, is longer. */
export const DEFAULT_MAX_RETRY_MS = 30_000
/** No wait that a `Retry-After` asks for is longer. */
const DEFAULT_MAX_RETRY_AFTER_MS = 300_000
/** The shortest wait, so that a server which ends every stream at once is not asked without a pause. */
const MIN_RETRY_MS = 100
/** Beyond this the ceiling is reached, whatever it is. */
const MAX_DOUBLINGS = 16

export interface BackoffOptions {
  /** The longest wait before the first attempt to come back, until the server names another. Default 1,000. */
  readonly retryMs?: number | undefined
  /** No wait is longer. Default 30,000, and 300,000 where a `Retry-After` asks for more. */
  readonly maxRetryMs?: number | undefined
  /** 0 to 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined
}

/**
 * How long to wait before the next attempt: anything up to a ceiling that doubles with each (full jitter), so that
 * readers who lost the same server do not come back together.
 */
export class Backoff {
  readonly #maxRetryMs: number
  readonly #maxRetryAfterMs: number
  readonly #random: () => number
  #retryMs: number
  #askedMs = 0
  #failures = 0

  constructor({ retryMs = DEFAULT_RETRY_MS, maxRetryMs, random = Math.random }: BackoffOptions) {
    this.#retryMs = retryMs
    this.#maxRetryMs = maxRetryMs ?? DEFAULT_MAX_RETRY_MS
    this.#maxRetryAfterMs = maxRetryMs ?? DEFAULT_MAX_RETRY_AFTER_MS
    this.#random = random
  }

  /** The server's last `retry:`. */
  get askedMs(): number {
    return this.#askedMs
  }

  /** Takes the server's `retry:` for the ceiling of the first wait, within the bounds. */
  ask(retryMs: number): void {
    this.#askedMs = retryMs
    this.#retryMs = Math.min(Math.max(retryMs, MIN_RETRY_MS), this.#maxRetryMs)
  }

  /** Begins anew: the last attempt came to something. */
  reset(): void {
    this.#failures = 0
  }

  /** The next wait. @param askedMs what the server asks for at least; the jitter comes on top of it. */
  nextMs(askedMs = 0): number {
    const ceilingMs = Math.min(this.#maxRetryMs, this.#retryMs * 2 ** this.#failures)
    this.#failures = Math.min(this.#failures + 1, MAX_DOUBLINGS)
    const floorMs = Math.min(MIN_RETRY_MS, ceilingMs)
    const backoffMs = floorMs + (ceilingMs - floorMs) * this.#random()
    return Math.min(askedMs > 0 ? this.#maxRetryAfterMs : this.#maxRetryMs, askedMs + backoffMs)
  }
}
