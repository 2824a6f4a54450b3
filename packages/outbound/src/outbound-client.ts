import type { LookupFunction, Socket } from 'node:net'
import { type Clock, type HttpMethod, sensitiveHeaders, systemClock } from '@tributary/protocol'
import { Agent, fetch, Headers, type HeadersInit, Pool, type Response } from 'undici'
import { AbortWatch } from './abort-watch.ts'
import type { AddressPolicy } from './address-policy.ts'
import {
  AnswerCollector,
  type BodyLimit,
  type CollectedAnswer,
  type CollectorOptions,
} from './answer-collector.ts'
import { guardedConnector, portOf } from './guarded-connector.ts'
import { type Hop, isRedirect, nextHop, parseTarget, type StayingBehind } from './hop.ts'
import { AddressRefusedError, OutboundError } from './outbound-error.ts'

export const DEFAULT_CONNECT_TIMEOUT_MS = 5000
export const DEFAULT_READ_TIMEOUT_MS = 300_000
export const DEFAULT_CONNECTIONS_PER_ORIGIN = 256
export const DEFAULT_MAX_REDIRECTS = 5

/** How what is sent for somebody else says who passed it on. */
export const TRIBUTARY_VIA = '1.1 tributary'

/** What is read of a redirect's own body to keep its connection; a longer one costs the connection. */
const MAX_REDIRECT_BODY_BYTES = 65_536
const REDIRECT_LIMIT: BodyLimit = { maxBytes: MAX_REDIRECT_BODY_BYTES, overflow: 'truncate' }

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
  /** Further headers that, as `authorization` and `cookie`, stay behind when a redirect leaves the origin. */
  readonly sensitiveHeaders?: readonly string[]
  /**
   * What is added to the `Via` of each request (RFC 9110, 7.6.3), so that no server of this machine takes what somebody
   * else asked for as the machine's own. Default: nothing.
   */
  readonly via?: string
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

/** A request whose answer is read whole. */
export interface OutboundExchange extends OutboundRequest, CollectorOptions {
  /** Further headers that stay behind when a redirect leaves the origin. */
  readonly secretHeaders?: readonly string[] | undefined
  /** Whether the body may not leave the origin. Default false. */
  readonly secretBody?: boolean | undefined
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
  readonly #policy: AddressPolicy
  /** What is open or connecting. Node's `signal` of a connect would keep each socket for as long as it lasts. */
  readonly #sockets = new Set<Socket>()
  readonly #maxRedirects: number
  readonly #aborts = new AbortWatch()
  readonly #credentialHeaders: ReadonlySet<string>
  readonly #clock: Clock
  readonly #via: string | undefined
  #closed: Promise<void> | undefined

  constructor({
    policy,
    connectTimeoutMs = DEFAULT_CONNECT_TIMEOUT_MS,
    readTimeoutMs = DEFAULT_READ_TIMEOUT_MS,
    connectionsPerOrigin = DEFAULT_CONNECTIONS_PER_ORIGIN,
    maxRedirects = DEFAULT_MAX_REDIRECTS,
    sensitiveHeaders: further = [],
    via,
    lookup,
    clock = systemClock,
  }: OutboundClientOptions) {
    this.#policy = policy
    this.#maxRedirects = maxRedirects
    // A `host` would name the wrong one.
    this.#credentialHeaders = new Set([...sensitiveHeaders(further), 'host'])
    this.#clock = clock
    this.#via = via
    const onSocket = (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    }
    const guard = { policy, connectTimeoutMs, onSocket, ...(lookup === undefined ? {} : { lookup }) }
    const pool = {
      connections: connectionsPerOrigin === 0 ? null : connectionsPerOrigin,
      headersTimeout: readTimeoutMs,
      bodyTimeout: readTimeoutMs,
    }
    this.#agent = new Agent({
      factory: (origin) => new Pool(origin, { ...pool, connect: guardedConnector(new URL(origin), guard) }),
    })
  }

  /**
   * Sends a request, follows its redirects, and reads the answer to its end, in memory bounded by the limit and
   * one chunk. A body that is cut costs its connection.
   *
   * @throws AddressRefusedError where the policy forbids the address, or one that a redirect leads to; OutboundError
   *   `body_too_large`; `secret_refused` where a redirect would take a `secretBody` to another origin.
   */
  async exchange(request: OutboundExchange): Promise<CollectedAnswer> {
    const { url, method = 'GET', headers = {}, body, signal, timeoutMs, limitOf, onBytes } = request
    const { secretHeaders = [], secretBody = false } = request
    const staying = { headers: this.#credentialHeadersAnd(secretHeaders), body: secretBody }
    let hop: Hop = { url: parseTarget(url), method, headers: this.#passedOn(headers), body }
    let collector: AnswerCollector | undefined
    let reason: Error | undefined
    const stop = (cause: unknown) => {
      reason ??= cause instanceof Error ? cause : new OutboundError('cancelled', 'Cancelled', { cause })
      collector?.abort(reason)
    }
    const unwatch = signal === undefined ? undefined : this.#aborts.add(signal, stop)
    const cancelTimeout =
      timeoutMs === undefined
        ? undefined
        : this.#clock.after(timeoutMs, () => stop(new OutboundError('task_timeout', 'Task timeout')))
    try {
      for (let redirects = 0; ; redirects += 1) {
        if (reason !== undefined) throw reason
        collector = new AnswerCollector({
          limitOf: (status, answerHeaders) =>
            this.#isFollowed(status, answerHeaders.location)
              ? REDIRECT_LIMIT
              : limitOf(status, answerHeaders),
          onBytes,
        })
        this.#dispatch(hop, collector)
        const answer = await collector.answer
        const { location } = answer.headers
        if (!this.#isFollowed(answer.status, location)) return answer
        hop = this.#follow(hop, redirects, answer.status, location, staying)
      }
    } finally {
      cancelTimeout?.()
      unwatch?.()
    }
  }

  /** `fetch` under the same rules, for readers that take one. Bound, so that it can be handed over. */
  readonly fetch = async (url: string | URL, init: OutboundFetchInit = {}): Promise<Response> => {
    const { method = 'GET', headers, body, signal = null } = init
    let hop: Hop = {
      url: parseTarget(url),
      method,
      headers: this.#passedOn(Object.fromEntries(new Headers(headers))),
      body: body ?? undefined,
    }
    for (let redirects = 0; ; redirects += 1) {
      // Undici's fetch has blocked ports of its own, which it tells in other words.
      const { hostname, protocol, port } = hop.url
      if (!this.#policy.allowsHost(hostname, portOf(protocol, port))) throw new AddressRefusedError()
      const response = await fetch(hop.url, {
        method: hop.method,
        headers: hop.headers,
        body: hop.body ?? null,
        signal,
        redirect: 'manual',
        dispatcher: this.#agent,
      })
      const location = response.headers.get('location') ?? undefined
      if (!this.#isFollowed(response.status, location)) return response
      await response.body?.cancel()
      hop = this.#follow(hop, redirects, response.status, location, {
        headers: this.#credentialHeaders,
        body: false,
      })
    }
  }

  /** Ends everything that is open; requests and bodies fail with `cancelled`. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #end(): Promise<void> {
    const destroyed = this.#agent.destroy()
    for (const socket of this.#sockets) socket.destroy(new OutboundError('cancelled', 'Cancelled'))
    await destroyed
  }

  #isFollowed(status: number, location: string | string[] | undefined): location is string | string[] {
    return this.#maxRedirects > 0 && location !== undefined && isRedirect(status)
  }

  #follow(
    hop: Hop,
    redirects: number,
    status: number,
    location: string | string[],
    staying: StayingBehind,
  ): Hop {
    if (redirects >= this.#maxRedirects) throw new OutboundError('task_failed', 'Too many redirects')
    return nextHop(hop, status, location, staying)
  }

  /** Who asks may say who passed it on before, and not that nobody did. */
  #passedOn(headers: Hop['headers']): Hop['headers'] {
    if (this.#via === undefined) return headers
    const entries = Object.entries(headers)
    const isVia = ([name]: readonly [string, string]) => name.toLowerCase() === 'via'
    const before = entries.filter(isVia).map(([, value]) => value)
    const others = entries.filter((entry) => !isVia(entry))
    return { ...Object.fromEntries(others), via: [...before, this.#via].join(', ') }
  }

  #credentialHeadersAnd(further: readonly string[]): ReadonlySet<string> {
    if (further.length === 0) return this.#credentialHeaders
    return new Set([...this.#credentialHeaders, ...further.map((name) => name.toLowerCase())])
  }

  #dispatch({ url, method, headers, body }: Hop, handler: AnswerCollector): void {
    const request = { origin: url.origin, path: url.pathname + url.search, method, headers }
    this.#agent.dispatch(body === undefined ? request : { ...request, body }, handler)
  }
}
