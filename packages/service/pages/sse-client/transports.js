import { SseParser } from './sse-parser.js'

/** @import { Api } from './api.js' */
/** @import { WireEvent } from './sse-parser.js' */
/** @import { StreamRequest } from './stream-kinds.js' */

/**
 * @typedef {object} TransportListener
 * @property {() => void} onOpen the answer has begun; again after each reconnect
 * @property {(event: WireEvent) => void} onEvent
 * @property {() => void} onLost it broke off, and comes back by itself
 * @property {(error?: unknown) => void} onEnd it is over, and does not come back; with the error where there is one
 */

/** @typedef {{listenFor(type: string): void, close(): void}} Transport */

/** A GET stream, by the browser's own EventSource: it reconnects, and presents the last event id when it does. */
export class EventSourceTransport {
  #source
  #listener
  #types = new Set()

  /**
   * @param {string} url
   * @param {Iterable<string>} types an EventSource hears only what it asks for
   * @param {TransportListener} listener
   */
  constructor(url, types, listener) {
    this.#listener = listener
    this.#source = new EventSource(url)
    this.#source.addEventListener('open', () => listener.onOpen())
    this.#source.addEventListener('error', (event) => this.#onError(event))
    this.#types.add('error')
    for (const type of types) this.listenFor(type)
  }

  /** @param {string} type */
  listenFor(type) {
    if (this.#types.has(type)) return
    this.#types.add(type)
    this.#source.addEventListener(type, (event) => this.#onMessage(event))
  }

  close() {
    this.#source.close()
  }

  /**
   * Two things come by this name: what happens to the connection, and messages of the type `error`, which have data.
   *
   * @param {Event} event
   */
  #onError(event) {
    if (event instanceof MessageEvent) this.#onMessage(event)
    else if (this.#source.readyState === EventSource.CLOSED) this.#listener.onEnd()
    else this.#listener.onLost()
  }

  /** @param {MessageEvent} event */
  #onMessage({ type, data, lastEventId }) {
    this.#listener.onEvent({ type, data, id: lastEventId === '' ? undefined : lastEventId })
  }
}

/** A POST stream, which no EventSource can read. It is sent once; what it started is resumed elsewhere. */
export class FetchTransport {
  #abort = new AbortController()

  /**
   * @param {Api} api
   * @param {StreamRequest & {path: string}} request its path with the query
   * @param {TransportListener} listener
   */
  constructor(api, request, listener) {
    this.#read(api, request, listener).then(
      () => this.#abort.signal.aborted || listener.onEnd(),
      (error) => this.#abort.signal.aborted || listener.onEnd(error),
    )
  }

  /** It hears every type anyway. */
  listenFor() {}

  close() {
    this.#abort.abort()
  }

  /**
   * @param {Api} api
   * @param {StreamRequest} request
   * @param {TransportListener} listener
   */
  async #read(api, { method, path, body }, listener) {
    const { signal } = this.#abort
    const response = await api.request(method, path, { body, accept: 'text/event-stream', signal })
    listener.onOpen()
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    const parser = new SseParser((event) => {
      if (!signal.aborted) listener.onEvent(event)
    })
    for (;;) {
      const part = await reader?.read()
      if (part === undefined || part.done) return
      parser.feed(part.value)
    }
  }
}
