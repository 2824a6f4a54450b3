import { EXPOSED_HEADERS, isHeaderName, isHeaderValue } from '@tributary/protocol'

/** The headers of a stream, ready for `writeHead` or a `Response`. */
export type StreamHeaders = Record<string, string>

// What a proxy or browser needs to hand events on as they come.
const BASE_HEADERS: Readonly<StreamHeaders> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
}

/** A header that HTTP does not allow. */
export class HeaderError extends TypeError {
  override readonly name = 'HeaderError'
  readonly code = 'invalid_header'
  readonly retryable = false
}

/** Builds the headers of a stream, step by step. */
export class SseHeaderBuilder {
  readonly #headers: StreamHeaders = { ...BASE_HEADERS }

  /**
   * Lets pages of another origin read the stream, and with it the headers that `EXPOSED_HEADERS` names.
   *
   * @param origin as the browser sends it, or `*`. With a single origin cookies are allowed, too.
   */
  cors(origin: string): this {
    this.custom('access-control-allow-origin', origin)
    this.#headers['access-control-expose-headers'] = EXPOSED_HEADERS
    if (origin !== '*') {
      this.#headers['access-control-allow-credentials'] = 'true'
      this.#headers.vary = 'Origin'
    }
    return this
  }

  /** Adds what keeps a browser from taking the stream for anything else. */
  security(): this {
    this.#headers['x-content-type-options'] = 'nosniff'
    this.#headers['x-frame-options'] = 'DENY'
    this.#headers['referrer-policy'] = 'no-referrer'
    return this
  }

  /**
   * Hints that nothing on the way should compress: a compressor holds events back until its block is full.
   * `no-transform` says it to proxies (RFC 9111, 5.2.2.6), `identity` to middleware that asks the answer.
   */
  compression(): this {
    this.#headers['content-encoding'] = 'identity'
    return this
  }

  /** @throws HeaderError where the name or the value is none of HTTP. */
  custom(name: string, value: string): this {
    if (!isHeaderName(name)) throw new HeaderError(`${JSON.stringify(name)} cannot name a header`)
    if (!isHeaderValue(value)) throw new HeaderError(`The value of ${name} holds what a header may not`)
    this.#headers[name.toLowerCase()] = value
    return this
  }

  build(): StreamHeaders {
    return { ...this.#headers }
  }

  /** So that a builder can be given wherever `fetch` takes headers: `new Response(body, {headers: sseHeaders()})`. */
  [Symbol.iterator](): IterableIterator<[string, string]> {
    return Object.entries(this.#headers)[Symbol.iterator]()
  }
}

/** Starts a builder; `sseHeaders().build()` are the plain headers of a stream. */
export function sseHeaders(): SseHeaderBuilder {
  return new SseHeaderBuilder()
}

/** The headers of a stream that pages of `origin` may read. */
sseHeaders.withCors = (origin: string): StreamHeaders => sseHeaders().cors(origin).build()
