import { ApiError, errorText, withQuery } from './api.js'
import { EventSourceTransport, FetchTransport } from './transports.js'

/** @import { Api } from './api.js' */
/** @import { WireEvent } from './sse-parser.js' */
/** @import { StreamRequest } from './stream-kinds.js' */
/** @import { Transport, TransportListener } from './transports.js' */

/**
 * @typedef {object} StreamEvent
 * @property {string} type
 * @property {unknown} data its payload, also where the whole event was asked for
 * @property {unknown} shown what came over the wire
 * @property {string | undefined} id
 * @property {Date} at when it came
 */

/** @typedef {'connecting' | 'open' | 'reconnecting' | 'finished' | 'closed' | 'failed' | 'stopped'} SessionState */

/**
 * @typedef {object} SessionListener
 * @property {() => void} onChange
 * @property {(event: StreamEvent) => void} onEvent
 */

/** Frames for one connection, which are never wrapped. */
const CONTROL_TYPES = new Set(['connection', 'gap', 'heartbeat', 'disconnected', 'source_unavailable'])

/** What an EventSource is asked to listen for, before anything else is known. */
const KNOWN_TYPES = [
  ...CONTROL_TYPES,
  'message',
  'error',
  'task_start',
  'task_progress',
  'task_retry',
  'task_complete',
  'task_error',
  'progress',
  'source_error',
  'source_complete',
  'aggregated_result',
  'complete',
  'flow_item',
]

/** One stream from its start to its end, over as many connections as that takes. */
export class StreamSession {
  /** @type {SessionState} */
  state = 'connecting'
  /** Why it is in that state, where there is more to say. */
  detail = ''
  events = 0
  reconnects = 0
  /** @type {string | undefined} */
  connectionId
  /** @type {string | undefined} */
  runId
  /** What the run came to. @type {string | undefined} */
  runStatus
  /** @type {string | undefined} */
  lastEventId

  #api
  #query
  #types
  #listener
  #opened = 0
  /** @type {Transport} */
  #transport
  /** What the server said before it ended the connection. @type {string | undefined} */
  #goodbye

  /**
   * @param {Api} api
   * @param {StreamRequest} request
   * @param {readonly string[]} types further ones to listen for
   * @param {SessionListener} listener
   */
  constructor(api, request, types, listener) {
    this.#api = api
    this.#query = request.query ?? {}
    this.#types = new Set([...KNOWN_TYPES, ...types])
    this.#listener = listener
    this.#transport =
      request.method === 'GET'
        ? this.#listenAt(request.path, this.#query)
        : new FetchTransport(
            api,
            { ...request, path: withQuery(request.path, this.#query) },
            this.#fetching(),
          )
  }

  get ended() {
    return ['finished', 'closed', 'failed', 'stopped'].includes(this.state)
  }

  /** @param {string} type */
  listenFor(type) {
    this.#types.add(type)
    this.#transport.listenFor(type)
  }

  /** Leaves the stream. What it started goes on. */
  stop() {
    if (this.ended) return
    const goesOn = this.runId !== undefined && this.runStatus === undefined
    this.#end('stopped', goesOn ? 'The run goes on without this reader.' : '')
  }

  /** @param {string} path @param {Record<string, string>} query */
  #listenAt(path, query) {
    const url = this.#api.streamUrl(path, query)
    return new EventSourceTransport(url, this.#types, {
      onOpen: () => this.#onOpen(),
      onEvent: (event) => this.#onEvent(event),
      onLost: () => this.#become('reconnecting', this.#goodbye ?? 'The connection broke off.'),
      onEnd: () => void this.#onRefused(url),
    })
  }

  /** @returns {TransportListener} */
  #fetching() {
    return {
      onOpen: () => this.#onOpen(),
      onEvent: (event) => this.#onEvent(event),
      onLost: () => undefined,
      onEnd: (error) => this.#onFetchEnd(error),
    }
  }

  #onOpen() {
    this.#opened += 1
    if (this.#opened > 1) this.reconnects += 1
    this.#goodbye = undefined
    this.#become('open')
  }

  /** @param {WireEvent} wire */
  #onEvent({ type, data: text, id }) {
    if (this.ended) return
    const shown = parsed(text)
    const data = this.#payload(type, shown)
    // An EventSource repeats the last id on what has none of its own.
    const isNew = id !== undefined && id !== this.lastEventId
    if (isNew) this.lastEventId = id
    this.events += 1
    if (type === 'connection') this.#onConnection(data)
    if (type === 'complete') this.runStatus = textOf(data, 'status') ?? 'ended'
    this.#listener.onEvent({ type, data, shown, id: isNew ? id : undefined, at: new Date() })
    if (type === 'disconnected') this.#onDisconnected(data)
    else this.#listener.onChange()
  }

  /** @param {unknown} data */
  #onConnection(data) {
    this.connectionId = textOf(data, 'emitterId')
    this.runId = textOf(data, 'runId') ?? this.runId
  }

  /** @param {unknown} data */
  #onDisconnected(data) {
    const reason = textOf(data, 'reason') ?? 'unknown'
    const message = textOf(data, 'message')
    this.#goodbye = `The server ended the connection: ${reason}${message === undefined ? '' : ` (${message})`}.`
    if (isObject(data) && data['reconnect'] === true) return this.#become('reconnecting', this.#goodbye)
    if (reason === 'complete') this.#end('finished', 'All events of the run have come.')
    else this.#end('closed', this.#goodbye)
  }

  /** @param {unknown} error */
  #onFetchEnd(error) {
    if (this.ended) return
    if (error instanceof ApiError && this.#opened === 0) return this.#end('failed', errorText(error))
    if (this.runId === undefined)
      return this.#end('failed', 'The stream broke off before it said which run it is of.')
    // The POST is not sent twice: the run that it started is read on.
    const cursor = this.lastEventId === undefined ? {} : { lastEventId: this.lastEventId }
    this.#become('reconnecting', this.#goodbye ?? 'The connection broke off.')
    this.#transport = this.#listenAt(`/api/runs/${encodeURIComponent(this.runId)}/events`, {
      ...this.#query,
      ...cursor,
    })
  }

  /** An EventSource does not say why it gave up, so we ask. @param {string} url */
  async #onRefused(url) {
    if (this.ended) return
    if (this.runStatus !== undefined) return this.#end('finished', 'All events of the run have come.')
    const status = await this.#api.statusOf(url)
    if (!this.ended) this.#end('failed', refusalText(status, this.#opened > 0))
  }

  /** @param {string} type @param {unknown} shown */
  #payload(type, shown) {
    const wrapped = this.#query['format'] === 'envelope' && !CONTROL_TYPES.has(type)
    return wrapped && isObject(shown) && 'data' in shown ? shown['data'] : shown
  }

  /** @param {SessionState} state @param {string} [detail] */
  #become(state, detail = '') {
    if (this.ended) return
    this.state = state
    this.detail = detail
    this.#listener.onChange()
  }

  /** @param {SessionState} state @param {string} detail */
  #end(state, detail) {
    this.#become(state, detail)
    this.#transport.close()
  }
}

/** @param {number} status @param {boolean} wasOpen */
function refusalText(status, wasOpen) {
  if (status === 0) return 'The server cannot be reached.'
  if (status === 401) return 'The token is not known (401).'
  if (status === 403) return 'This is not allowed to you (403).'
  if (status === 404) return 'There is nothing here; the run may be too old to keep (404).'
  if (status === 429 || status === 503)
    return `The server has no room now; try again in a moment (${status}).`
  if (status >= 400) return `The server answered ${status}.`
  return wasOpen ? 'The server has nothing more for this reader.' : 'The server refused the stream.'
}

/** @param {string} text @returns {unknown} */
function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** @param {unknown} data @returns {data is Record<string, unknown>} */
export function isObject(data) {
  return typeof data === 'object' && data !== null
}

/** @param {unknown} data @param {string} key */
export function textOf(data, key) {
  const value = isObject(data) ? data[key] : undefined
  return typeof value === 'string' ? value : undefined
}

/** @param {unknown} data @param {string} key */
export function numberOf(data, key) {
  const value = isObject(data) ? data[key] : undefined
  return typeof value === 'number' ? value : undefined
}
