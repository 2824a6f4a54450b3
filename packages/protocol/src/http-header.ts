// RFC 9110, section 5.1 (a name is a token) and 5.5 (a value is visible, with spaces and tabs inside).
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** Whether HTTP allows a header of this name. */
export function isHeaderName(name: string): boolean {
  return NAME.test(name)
}

/** Whether HTTP allows this as the value of a header. */
export function isHeaderValue(value: string): boolean {
  return VALUE.test(value)
}

/** What scripts of other origins may read of an answer, beside what they always may. */
export const EXPOSED_HEADERS =
  'Run-Id, Location, Retry-After, Idempotent-Replayed, RateLimit, RateLimit-Policy, RateLimit-Limit, ' +
  'RateLimit-Remaining, RateLimit-Reset'
