/** Statuses that may be another one next time: RFC 9110 and 6585, and what gateways in between answer. */
const RETRYABLE_STATUSES: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504])

export const DEFAULT_RETRY_BASE_MS = 200
export const DEFAULT_RETRY_MAX_MS = 30_000

/** Whether the same request is worth sending again after this status. */
export function isRetryableStatus(status: number): boolean {
  return RETRYABLE_STATUSES.has(status)
}

export interface RetryDelayOptions {
  /** The attempt that failed, from 1. */
  readonly attempt: number
  /** The longest wait after the first attempt; it doubles with each. Default 200 ms. */
  readonly baseMs?: number | undefined
  /** No wait is longer, whatever a server asks for. Default 30000 ms. */
  readonly maxMs?: number | undefined
  /** The answer's `Retry-After`, in either form; anything else is as good as none. */
  readonly retryAfter?: string | string[] | undefined
  /** 0 to below 1, evenly spread. */
  readonly random: () => number
  /** Milliseconds since 1970; a `Retry-After` that is a date is measured from it. */
  readonly nowMs: number
}

/**
 * How long to wait before the next attempt: exponential backoff with full jitter, so that those who failed
 * together do not come back together; after a `Retry-After`, that and the jitter on top of it.
 */
export function retryDelayMs(options: RetryDelayOptions): number {
  const {
    attempt,
    baseMs = DEFAULT_RETRY_BASE_MS,
    maxMs = DEFAULT_RETRY_MAX_MS,
    retryAfter,
    random,
    nowMs,
  } = options
  const backoffMs = Math.min(maxMs, baseMs * 2 ** (Math.max(attempt, 1) - 1))
  const askedMs = retryAfterMs(retryAfter, nowMs) ?? 0
  return Math.round(Math.min(maxMs, askedMs + random() * backoffMs))
}

const SECONDS = /^\d+$/
const IMF_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/
const RFC_850_DATE = /^[A-Z][a-z]+day, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/
const ASCTIME_DATE = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/

/** Reads a `Retry-After` (RFC 9110, 10.2.3): seconds or a date in any of its three forms. Never below 0. */
export function retryAfterMs(header: string | string[] | undefined, nowMs: number): number | undefined {
  const text = (typeof header === 'string' ? header : header?.[0])?.trim()
  if (text === undefined) return undefined
  if (SECONDS.test(text)) return Number(text) * 1000
  const dateMs = parseHttpDate(text)
  return dateMs === undefined ? undefined : Math.max(0, dateMs - nowMs)
}

function parseHttpDate(text: string): number | undefined {
  if (IMF_DATE.test(text) || RFC_850_DATE.test(text)) return valid(Date.parse(text))
  // This form names no zone, and would be read as local time.
  return ASCTIME_DATE.test(text) ? valid(Date.parse(`${text} GMT`)) : undefined
}

function valid(ms: number): number | undefined {
  return Number.isNaN(ms) ? undefined : ms
}
