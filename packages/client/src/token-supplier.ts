import type { WireEvent } from '@tributary/protocol'
import type { Fetch } from './open-stream.ts'
import { type RequestHeaders, requestHeaders } from './request-headers.ts'

/** Gives a token that counts from now on for a while, as `GET /api/auth/sse-token` does; may be async. */
export type TokenSupplier = () => string | Promise<string>

/** The headers of an attempt with its token, which is asked for anew each time. */
export function headersWithToken(headers: RequestHeaders, token: TokenSupplier | undefined): RequestHeaders {
  if (token === undefined) return headers
  return async () => {
    const { accept: _, ...given } = await requestHeaders(headers, undefined)
    return { ...given, authorization: `Bearer ${await token()}` }
  }
}

export interface TokenRefresherOptions {
  readonly token: TokenSupplier
  readonly fetch: Fetch
  /** Where the stream was asked for. Nobody else is given the token. */
  readonly url: string
}

/**
 * Gives an open stream its next token when the one that it has is about to end, so that it is not cut. Where that fails
 * nothing is lost: the stream ends, and is resumed with another token.
 */
export class TokenRefresher {
  readonly #options: TokenRefresherOptions
  #connectionId: string | undefined

  constructor(options: TokenRefresherOptions) {
    this.#options = options
  }

  /** Takes note of an event. @param url what the stream is read from. @param signal aborted when it has ended. */
  note({ type, data }: WireEvent, url: string, signal: AbortSignal): void {
    if (type === 'connection') this.#connectionId = connectionIn(data)
    if (type !== 'auth_expiring' || this.#connectionId === undefined) return
    const address = refreshAddress(url, this.#connectionId)
    if (address?.origin !== new URL(this.#options.url).origin) return
    this.#refresh(address.href, signal).catch(() => undefined)
  }

  async #refresh(url: string, signal: AbortSignal): Promise<void> {
    const { fetch } = this.#options
    const token = await this.#options.token()
    const answered = new AbortController()
    await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
      signal: AbortSignal.any([signal, answered.signal]),
    })
    // What it says is of no use here.
    answered.abort()
  }
}

/** The id of a connection of a user or a group; that of a run has no token of its own. */
function connectionIn(text: string): string | undefined {
  try {
    const data: unknown = JSON.parse(text)
    if (typeof data !== 'object' || data === null || 'runId' in data || !('emitterId' in data))
      return undefined
    return typeof data.emitterId === 'string' ? data.emitterId : undefined
  } catch {
    return undefined
  }
}

/** Beside the stream's own address, which a proxy may have put below a path. */
function refreshAddress(url: string, connectionId: string): URL | null {
  const { pathname } = new URL(url)
  const prefix = pathname.slice(0, Math.max(0, pathname.indexOf('/api/')))
  return URL.parse(`${prefix}/api/sse/managed/connections/${encodeURIComponent(connectionId)}/token`, url)
}
