import { ProblemError } from '@tributary/protocol'

/** Where a relay or a merge reads: a path of the worker, or an address of an allowed origin. */
export type Endpoint =
  | { readonly kind: 'worker'; readonly path: string }
  | { readonly kind: 'foreign'; readonly url: string }

// A relative endpoint is resolved against this, to see that it stays a path.
const BASE = 'http://worker.invalid'

/**
 * Reads an endpoint.
 *
 * @param field names it in the answer, as `body/endpoint`.
 * @throws ProblemError `invalid_endpoint`; `origin_refused` where the origin is not allowed.
 */
export function parseEndpoint(text: string, allowedOrigins: ReadonlySet<string>, field: string): Endpoint {
  const refuse = (code: 'invalid_endpoint' | 'origin_refused', message: string) =>
    // Not shown again: it may hold credentials.
    new ProblemError(code, `The endpoint ${message}`, {
      errors: [{ path: field, message }],
    })
  if (text.startsWith('/')) {
    const url = URL.parse(text, BASE)
    if (url === null || url.origin !== BASE || !isPercentEncoded(url.pathname)) {
      throw refuse('invalid_endpoint', 'is not a path of the worker')
    }
    return { kind: 'worker', path: url.pathname + url.search }
  }
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw refuse(
      'invalid_endpoint',
      'must be a path that begins with "/", or an absolute http or https address',
    )
  }
  if (url.username !== '' || url.password !== '')
    throw refuse('invalid_endpoint', 'must not hold credentials')
  if (!allowedOrigins.has(url.origin)) {
    throw refuse('origin_refused', `is of ${url.origin}, which is not among RELAY_ALLOWED_ORIGINS`)
  }
  return { kind: 'foreign', url: url.href }
}

function isPercentEncoded(path: string): boolean {
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}

/** The origins of a list of addresses. */
export function originsOf(addresses: readonly string[]): ReadonlySet<string> {
  return new Set(addresses.map((address) => new URL(address).origin))
}
