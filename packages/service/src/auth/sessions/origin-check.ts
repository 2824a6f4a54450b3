import type { IncomingHttpHeaders } from 'node:http'
import { ProblemError } from '@tributary/protocol'

/** What of a request says from where it was sent. */
export interface SentRequest {
  readonly headers: IncomingHttpHeaders
  readonly socket?: object
}

/**
 * Keeps pages of other origins from using a session: a browser sends its cookie along whoever makes it ask (RFC 6265,
 * 8.2). The server's own origin is always allowed.
 */
export class OriginCheck {
  readonly #allowed: ReadonlySet<string>

  /** @param allowed further origins, as browsers write them. */
  constructor(allowed: readonly string[] = []) {
    this.#allowed = new Set(allowed)
  }

  /**
   * Lets on what was sent by a page of an allowed origin. It is known by `Origin`, which no script can forge; without
   * it by `Sec-Fetch-Site`, or by `Referer`.
   *
   * @param does what the request does. One that `reads` is refused only where it names another origin; one that `opens`
   * a stream, which takes a place of its user's, also where its browser says that another site made it, as by an image;
   * one that `changes` something, also where it does not say from where it is.
   * @throws ProblemError `cross_site_refused`
   */
  check(request: SentRequest, does: 'reads' | 'opens' | 'changes'): void {
    const { origin, referer, 'sec-fetch-site': site } = request.headers
    if (origin !== undefined) {
      if (!this.#isAllowed(origin, request)) throw refused(`${JSON.stringify(origin)} is not among them`)
      return
    }
    if (does === 'reads' || site === 'same-origin') return
    if (does === 'opens' && (site === undefined || site === 'none')) return
    if (site !== undefined) throw refused('the browser says that another site made it')
    const page = URL.parse(referer ?? '')?.origin
    if (page === undefined) throw refused('it names none; send the header Origin')
    if (!this.#isAllowed(page, request)) throw refused(`${JSON.stringify(page)} is not among them`)
  }

  #isAllowed(origin: string, request: SentRequest): boolean {
    return this.#allowed.has(origin) || isOwnOrigin(origin, request)
  }
}

/** Whether an origin is the server's, by the name and port under which it was asked. */
function isOwnOrigin(origin: string, { headers, socket }: SentRequest): boolean {
  const { host, 'x-forwarded-proto': forwarded } = headers
  const url = URL.parse(origin)
  if (url === null || host === undefined || url.origin !== origin) return false
  // A proxy that ends TLS says so; a page that was not sent by TLS may be anybody's then.
  const isSecure = (socket !== undefined && 'encrypted' in socket) || forwarded === 'https'
  if (url.protocol !== 'https:' && (isSecure || url.protocol !== 'http:')) return false
  return URL.parse(`${url.protocol}//${host}`)?.host === url.host
}

function refused(why: string): ProblemError {
  return new ProblemError(
    'cross_site_refused',
    `With a session, this takes a page of an allowed origin, and ${why}. CORS_ORIGINS names those beside the server's own.`,
  )
}
