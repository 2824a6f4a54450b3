const SECONDS = /^\d+$/
/** The three forms of a date in HTTP begin with the day's name; the last of them names no zone, and is GMT too. */
const HTTP_DATE = /^[A-Z][a-z]{2,8},? [\w: -]+?( GMT)?$/

/**
 * Reads a `Retry-After`: seconds or a date, as milliseconds from now, never below 0. What is neither is as good as
 * none. RFC 9110, 10.2.3 and 5.6.7.
 */
export function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  const text = header?.trim() ?? ''
  if (SECONDS.test(text)) return Number(text) * 1_000
  const date = HTTP_DATE.exec(text)
  if (date === null) return undefined
  const dateMs = Date.parse(date[1] === undefined ? `${text} GMT` : text)
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs)
}
