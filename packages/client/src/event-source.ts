import type { Clock, HttpMethod } from '@tributary/protocol'
import type { BackoffOptions } from './backoff.ts'
import type { Fetch } from './open-stream.ts'
import { readStream } from './read-stream.ts'
import type { RequestHeaders } from './request-headers.ts'
import { StreamError } from './stream-error.ts'
import { StreamErrorEvent } from './stream-error-event.ts'
import type { TokenSupplier } from './token-supplier.ts'
import type { HeartbeatInterval } from './watchdog.ts'

/** All of it is optional, and but for `withCredentials` unknown to the native class. */
export interface EventSourceInit extends BackoffOptions {
  /** Whether cookies go to other origins, too. Default false. */
  readonly withCredentials?: boolean
  /** Sent with each attempt. A function is called for each, and may be async: for tokens that are renewed. */
  readonly headers?: RequestHeaders
  /** Gives the token of each attempt, and the next one of an open stream, see `readStream`. Default: none is sent. */
  readonly token?: TokenSupplier
  /** Default GET. What a POST began is not begun again, see `readStream`. */
  readonly method?: HttpMethod
  /** Its `Content-Type` is the caller's to name. */
  readonly body?: string
  /** Where to go on from, as from an earlier page. Default: wherever the server begins. */
  readonly lastEventId?: string
  /** Default: the global one. */
  readonly fetch?: Fetch
  /** When silence counts as a broken stream, see `readStream`; 0: never. Default `learn`. */
  readonly heartbeatMs?: HeartbeatInterval
  /** Characters of one event at most. Default 1 MiB. */
  readonly maxEventChars?: number
  /** Default: the machine's. */
  readonly clock?: Clock
}

export interface EventSourceEventMap {
  open: Event
  message: MessageEvent
  /** A `StreamErrorEvent`; a stream's own event of this name comes as a message. */
  error: Event
}

type Handler<E> = ((event: E) => unknown) | null
type Listen = Parameters<EventTarget['addEventListener']>
type Unlisten = Parameters<EventTarget['removeEventListener']>

/** What `onopen` and its like are set to, and how that listens. */
interface HandlerSlot<E> {
  readonly handler: Handler<E>
  readonly listener: (event: E) => unknown
}

/**
 * The EventSource of the HTML standard (9.2) in browsers and Node, with headers, and resumed by `readStream`.
 *
 * It differs from the native one where that gives up too early or too late: a status that may pass (408, 425, 429,
 * 5xx) is tried again, after its `Retry-After`, with `readyState` CONNECTING and an `error`; a `disconnected` event
 * with `"reconnect": false` closes it at once; a stream on which heartbeats stop is resumed. Like the native one, it
 * is closed for good by 204, any other status, and an answer that is no event stream; its `error` says why.
 */
export class EventSource extends EventTarget {
  static readonly CONNECTING = 0
  static readonly OPEN = 1
  static readonly CLOSED = 2
  readonly CONNECTING = 0
  readonly OPEN = 1
  readonly CLOSED = 2
  /** Absolute. */
  readonly url: string
  readonly withCredentials: boolean
  readonly #closing = new AbortController()
  #readyState: 0 | 1 | 2 = EventSource.CONNECTING
  #origin: string
  #lastEventId: string
  #open: HandlerSlot<Event> | undefined
  #message: HandlerSlot<MessageEvent> | undefined
  #error: HandlerSlot<Event> | undefined

  /** Connects at once. @throws DOMException `SyntaxError` where the URL is none. */
  constructor(url: string | URL, init: EventSourceInit = {}) {
    super()
    const { href, origin } = resolved(url)
    this.url = href
    this.withCredentials = init.withCredentials ?? false
    this.#origin = origin
    this.#lastEventId = init.lastEventId ?? ''
    void this.#read(init)
  }

  get readyState(): 0 | 1 | 2 {
    return this.#readyState
  }

  get onopen(): Handler<Event> {
    return this.#open?.handler ?? null
  }

  set onopen(handler: Handler<Event>) {
    this.#open = this.#replace('open', this.#open, handler)
  }

  get onmessage(): Handler<MessageEvent> {
    return this.#message?.handler ?? null
  }

  set onmessage(handler: Handler<MessageEvent>) {
    this.#message = this.#replace('message', this.#message, handler)
  }

  get onerror(): Handler<Event> {
    return this.#error?.handler ?? null
  }

  set onerror(handler: Handler<Event>) {
    this.#error = this.#replace('error', this.#error, handler)
  }

  /** `open`, `error`, and the stream's events by their types: `message` where one has none. */
  override addEventListener<K extends keyof EventSourceEventMap>(
    type: K,
    listener: (this: EventSource, event: EventSourceEventMap[K]) => unknown,
    options?: Listen[2],
  ): void
  override addEventListener<E extends MessageEvent>(
    type: string,
    listener: (this: EventSource, event: E) => unknown,
    options?: Listen[2],
  ): void
  override addEventListener(type: string, listener: Listen[1], options?: Listen[2]): void
  override addEventListener(type: string, listener: Listen[1], options?: Listen[2]): void {
    super.addEventListener(type, listener, options)
  }

  override removeEventListener<K extends keyof EventSourceEventMap>(
    type: K,
    listener: (this: EventSource, event: EventSourceEventMap[K]) => unknown,
    options?: Unlisten[2],
  ): void
  override removeEventListener<E extends MessageEvent>(
    type: string,
    listener: (this: EventSource, event: E) => unknown,
    options?: Unlisten[2],
  ): void
  override removeEventListener(type: string, listener: Unlisten[1], options?: Unlisten[2]): void
  override removeEventListener(type: string, listener: Unlisten[1], options?: Unlisten[2]): void {
    super.removeEventListener(type, listener, options)
  }

  /** Hangs up for good; no event comes any more. Idempotent. */
  close(): void {
    this.#readyState = EventSource.CLOSED
    this.#closing.abort()
  }

  async #read(init: EventSourceInit): Promise<void> {
    const { signal } = this.#closing
    const { fetch = globalThis.fetch, withCredentials: _, ...options } = init
    const credentials = this.withCredentials ? ({ credentials: 'include' } as const) : {}
    const events = readStream({
      heartbeatMs: 'learn',
      ...options,
      url: this.url,
      fetch: (url, request) => fetch(url, { ...request, ...credentials, cache: 'no-store' }),
      signal,
      onOpen: ({ url }) => {
        this.#origin = URL.parse(url)?.origin ?? this.#origin
        this.#enter(EventSource.OPEN, new Event('open'))
      },
      onId: (id) => {
        this.#lastEventId = id
      },
      onInterrupt: (error) => this.#interrupted(error),
    })
    try {
      for await (const { type, data } of events) {
        // What came in one chunk with it is not for one who has closed.
        if (signal.aborted) return
        const message = { data, origin: this.#origin, lastEventId: this.#lastEventId }
        this.dispatchEvent(new MessageEvent(type, message))
      }
      this.#fail(new StreamErrorEvent('The server has ended the stream for good'))
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      this.#fail(new StreamErrorEvent(message, error instanceof StreamError ? error : undefined))
    }
  }

  #interrupted(error: StreamError | undefined): void {
    const message = error === undefined ? 'The server has ended the stream' : error.message
    this.#enter(EventSource.CONNECTING, new StreamErrorEvent(`${message}; it is resumed`, error))
  }

  #fail(event: StreamErrorEvent): void {
    this.#enter(EventSource.CLOSED, event)
  }

  /** A source that is closed stays so, and says nothing. */
  #enter(state: 0 | 1 | 2, event: Event): void {
    if (this.#readyState === EventSource.CLOSED) return
    this.#readyState = state
    this.dispatchEvent(event)
  }

  /** As an event handler attribute: apart from what `addEventListener` added, also where it is the same function. */
  #replace<K extends keyof EventSourceEventMap>(
    type: K,
    previous: HandlerSlot<EventSourceEventMap[K]> | undefined,
    handler: Handler<EventSourceEventMap[K]>,
  ): HandlerSlot<EventSourceEventMap[K]> | undefined {
    if (previous !== undefined) this.removeEventListener(type, previous.listener)
    if (typeof handler !== 'function') return undefined
    const listener = (event: EventSourceEventMap[K]) => handler.call(this, event)
    this.addEventListener(type, listener)
    return { handler, listener }
  }
}

/** What a page has, a worker in part, and Node not at all. */
interface BrowserScope {
  readonly URL: unknown
  readonly document?: { readonly baseURI: string }
  readonly location?: { readonly href: string }
}

/** HTML, 9.2.2: relative to the document, where there is one. */
function resolved(url: string | URL): URL {
  const { document, location }: BrowserScope = globalThis
  const absolute = URL.parse(String(url), document?.baseURI ?? location?.href)
  if (absolute === null) throw new DOMException(`${url} is no URL`, 'SyntaxError')
  return absolute
}
