import type { HttpMethod } from '@tributary/protocol'
import { AddressRefusedError, OutboundError } from './outbound-error.ts'

/** One request on the way to an answer; redirects make several. */
export interface Hop {
  readonly url: URL
  readonly method: HttpMethod
  readonly headers: Readonly<Record<string, string>>
  /** Text or bytes, and no stream: a 307 sends it again. */
  readonly body: string | Uint8Array | undefined
}

/** What does not go along when a redirect leaves the origin. */
export interface StayingBehind {
  /** Names in lower case. */
  readonly headers: ReadonlySet<string>
  /** Whether a redirect that would send the body elsewhere is refused. */
  readonly body: boolean
}

const BODY_HEADERS: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-type',
  'transfer-encoding',
])
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/**
 * Reads an address to call.
 *
 * @throws AddressRefusedError on another scheme than http and https, and on a user name or password in it.
 * @throws OutboundError `task_failed` where it is no URL.
 */
export function parseTarget(text: string | URL, base?: string): URL {
  const url = typeof text === 'string' ? URL.parse(text, base) : text
  if (url === null) throw new OutboundError('task_failed', 'Invalid URL')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new AddressRefusedError('Only http and https addresses may be called')
  }
  if (url.username !== '' || url.password !== '') {
    throw new AddressRefusedError('An address with a user name or password may not be called')
  }
  return url
}

export function isRedirect(status: number): boolean {
  return REDIRECTS.has(status)
}

/**
 * The request that a redirect asks for (WHATWG Fetch, "HTTP-redirect fetch"): 303, and 301 and 302 of a POST,
 * become a GET without body; another origin gets nothing of what stays behind.
 *
 * @throws what `parseTarget` throws, for the `Location`; OutboundError `secret_refused` where the body would leave.
 */
export function nextHop(hop: Hop, status: number, location: string | string[], staying: StayingBehind): Hop {
  if (typeof location !== 'string') throw new OutboundError('task_failed', 'Redirect to several places')
  const url = parseTarget(location, hop.url.href)
  const toGet =
    status === 303
      ? hop.method !== 'GET' && hop.method !== 'HEAD'
      : hop.method === 'POST' && (status === 301 || status === 302)
  const sameOrigin = url.origin === hop.url.origin
  if (!sameOrigin && !toGet && staying.body) {
    throw new OutboundError('secret_refused', 'A redirect would take a secret of the body to another origin')
  }
  const headers = Object.entries(hop.headers).filter(([name]) => {
    const lower = name.toLowerCase()
    return (sameOrigin || !staying.headers.has(lower)) && !(toGet && BODY_HEADERS.has(lower))
  })
  return {
    url,
    method: toGet ? 'GET' : hop.method,
    headers: Object.fromEntries(headers),
    body: toGet ? undefined : hop.body,
  }
}
