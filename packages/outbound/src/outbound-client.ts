import type { LookupFunction } from 'node:net'
import { type Clock, type HttpMethod, systemClock } from '@tributary/protocol'
import { Agent, type Dispatcher, Headers, type HeadersInit, Pool, type Response, fetch } from 'undici'
import type { AddressPolicy } from './address-policy.ts'
import { guardedConnector } from './guarded-connector.ts'
import { CREDENTIAL_HEADERS, type Hop, nextHop, parseTarget } from './hop.ts'
import { OutboundError } from './outbound-error.ts'
import { RequestAbort } from './request-abort.ts'

export const DEFAULT_CONNECT_TIMEOUT_MS = 5000
export const DEFAULT_READ_TIMEOUT_MS = 300_000
export const DEFAULT_CONNECTIONS_PER_ORIGIN = 256
export const DEFAULT_MAX_REDIRECTS = 5

/** What is read of a redirect's own body to keep its connection; a longer one costs the connection. */
const MAX_REDIRECT_BODY_BYTES = 65_536

export interface OutboundClientOptions {
  readonly policy: AddressPolicy
  /** Milliseconds for name lookup, TCP and TLS together. Default 5000; 0: no limit. */
  readonly connectTimeoutMs?: number
  /** Milliseconds without a byte, before the headers and within the body. Default 300000; 0: no limit. */
  readonly readTimeoutMs?: number
  /**
   * Open connections to one origin. Default 256; 0: no limit. Further requests wait in line, without a bound
   * of its own, so it belongs above what the caller runs at a time, streams included.
   */
  readonly connectionsPerOrigin?: number
  /** Redirects that are followed. Default 5; 0 hands a redirect to the caller like any answer. */
  readonly maxRedirects?: number
  /** Headers that, as `authorization` and `cookie`, stay behind when a redirect leaves the origin. */
  readonly sensitiveHeaders?: readonly string[]
  /** How names are looked up. Default: the system's. */
  readonly lookup?: LookupFunction
  /** What `timeoutMs` goes by. Default: the machine's. */
  readonly clock?: Clock
}

export interface OutboundRequest {
  readonly url: string | URL
  /** Default GET. */
  readonly method?: HttpMethod | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | Uint8Array | undefined
  /** Ends the request and its body. An `Error` given as its reason is what they fail with. */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds from the connect to the last byte of the body. Default: no limit. */
  readonly timeoutMs?: number | undefined
}

/** An answer whose headers have come. Its body must be read to the end or destroyed. */
export interface OutboundAnswer {
  readonly status: number
  readonly headers: Dispatcher.ResponseData['headers']
  readonly body: Dispatcher.ResponseData['body']
  /** What answered, after redirects. */
  readonly url: string
}

export interface OutboundFetchInit {
  readonly method?: HttpMethod
  readonly headers?: HeadersInit
  readonly body?: string | Uint8Array | null
  readonly signal?: AbortSignal | null
}

/**
 * The HTTP client for every address that somebody else chose. Each connection, also one that a redirect asks
 * for, is judged by the policy; what is pooled has been. It owns its connections: close it.
 *
 * What it throws, `classifyError` explains.
 */
export class OutboundClient {
  readonly #agent: Agent
  readonly #closing = new AbortController()
  readonly #maxRedirects: number
  readonly #credentialHeaders: ReadonlySet<string>
  readonly #clock: Clock
  #closed: Promise<void> | undefined

  constructor({
    policy,
    connectTimeoutMs = DEFAULT_CONNECT_TIMEOUT_MS,
    readTimeoutMs = DEFAULT_READ_TIMEOUT_MS,
    connectionsPerOrigin = DEFAULT_CONNECTIONS_PER_ORIGIN,
    maxRedirects = DEFAULT_MAX_REDIRECTS,
    sensitiveHeaders = [],
    lookup,
    clock = systemClock,
  }: OutboundClientOptions) {
    this.#maxRedirects = maxRedirects
    this.#credentialHeaders = new Set([...CREDENTIAL_HEADERS, ...sensitiveHeaders.map((name) => name.toLowerCase())])
    this.#clock = clock
    const { signal } = this.#closing
    const guard = { policy, connectTimeoutMs, signal, ...(lookup === undefined ? {} : { lookup }) }
    const pool = {
      connections: connectionsPerOrigin === 0 ? null : connectionsPerOrigin,
      headersTimeout: readTimeoutMs,
      bodyTimeout: readTimeoutMs,
    }
    this.#agent = new Agent({
      factory: (origin) => new Pool(origin, { ...pool, connect: guardedConnector(new URL(origin), guard) }),
    })
  }

  /** Sends a request and follows its redirects. The answer is here once its headers are; its body streams. */
  async request(request: OutboundRequest): Promise<OutboundAnswer> {
    const { url, method = 'GET', headers = {}, body, signal, timeoutMs } = request
    let hop: Hop = { url: parseTarget(url), method, headers, body }
    const abort =
      signal === undefined && timeoutMs === undefined ? undefined : new RequestAbort(signal, timeoutMs, this.#clock)
    try {
      for (let redirects = 0; ; redirects += 1) {
        const answer = await this.#send(hop, abort)
        const next = this.#redirect(hop, redirects, answer.statusCode, answer.headers.location, answer.body)
        if (next === undefined) {
          if (abort !== undefined) onceClosed(answer.body, abort.end)
          return { status: answer.statusCode, headers: answer.headers, body: answer.body, url: hop.url.href }
        }
        await answer.body.dump({ limit: MAX_REDIRECT_BODY_BYTES })
        hop = next
      }
    } catch (error) {
      abort?.end()
      throw error
    }
  }
