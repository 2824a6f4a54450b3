import type { IncomingHttpHeaders } from 'node:http'
import { createParser } from 'eventsource-parser'
import { Agent, type Dispatcher, request } from 'undici'

/** How long `waitFor` waits unless told, in ms. */
const DEFAULT_WAIT_MS = 10_000

export interface CollectedEvent {
  /** The `id:` of its block; absent where it had none. */
  readonly id?: string
  /** `message` where the block named none. */
  readonly type: string
  /** The data as JSON; the text itself where it is none. */
  readonly data: unknown
  /** The data as it came. */
  readonly raw: string
}

export interface CollectorInit {
  /** Default GET, or POST where there is a body. */
  readonly method?: Dispatcher.HttpMethod
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON; a string as it is. */
  readonly body?: unknown
}

export type EventMatch = string | ((event: CollectedEvent) => boolean)

interface Waiter {
  /** How many matches it takes. */
  readonly count: number
  readonly matches: (event: CollectedEvent) => boolean
  resolve(event: CollectedEvent): void
  reject(error: Error): void
}

/** Reads one stream over real HTTP, on a connection of its own, and keeps all that came. */
export class EventCollector implements AsyncDisposable {
  readonly events: CollectedEvent[] = []
  readonly comments: string[] = []
  /** Each `retry:` that came, in ms. */
  readonly retries: number[] = []
  /** Resolves when the answer has ended, cleanly or not. */
  readonly ended: Promise<void>
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly #agent: Agent
  readonly #body: Dispatcher.ResponseData['body']
  readonly #waiters = new Set<Waiter>()
  #text = ''
  #error: Error | undefined
  #isEnded = false
  #isClosed = false

  /** Resolves once the head of the answer is there, whatever its status. */
  static async open(url: string | URL, init: CollectorInit = {}): Promise<EventCollector> {
    const agent = new Agent({ bodyTimeout: 0, headersTimeout: 30_000, pipelining: 0 })
    const { body, method = body === undefined ? 'GET' : 'POST', headers } = init
    try {
      const response = await request(url, {
        dispatcher: agent,
        method,
        headers: {
          accept: 'text/event-stream',
          ...(body === undefined || typeof body === 'string' ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      return new EventCollector(agent, response)
    } catch (error) {
      await agent.destroy()
      throw error
    }
  }

  private constructor(agent: Agent, response: Dispatcher.ResponseData) {
    this.#agent = agent
    this.status = response.statusCode
    this.headers = response.headers
    this.#body = response.body
    this.ended = this.#collect()
  }

  /** The last `id:` that came, which is what a reader resumes with. */
  get lastEventId(): string | undefined {
    return this.events.findLast(({ id }) => id !== undefined)?.id
  }

  /** The whole answer where it is no event stream: a problem, a page. */
  get text(): string {
    return this.#text
  }

  /** Why the answer broke off; `undefined` while it goes on, after a clean end and after `close()`. */
  get error(): Error | undefined {
    return this.#error
  }

  /** The events of a type. */
  ofType(type: string): CollectedEvent[] {
    return this.events.filter((event) => event.type === type)
  }

  /**
   * Resolves with the first event that matches, also one that came before.
   *
   * Rejects after `timeoutMs`, and at once when the answer ends without it.
   */
  waitFor(match: EventMatch, timeoutMs = DEFAULT_WAIT_MS): Promise<CollectedEvent> {
    return this.waitForCount(match, 1, timeoutMs)
  }

  /** Resolves with the `count`th event that matches. */
  async waitForCount(match: EventMatch, count: number, timeoutMs = DEFAULT_WAIT_MS): Promise<CollectedEvent> {
    const matches = typeof match === 'string' ? ({ type }: CollectedEvent) => type === match : match
    const here = this.events.filter(matches)[count - 1]
    if (here !== undefined) return here
    if (this.#isEnded) throw this.#missing('the stream has ended')
    const { promise, resolve, reject } = Promise.withResolvers<CollectedEvent>()
    const waiter: Waiter = { count, matches, resolve, reject }
    const timer = setTimeout(() => reject(this.#missing(`${timeoutMs} ms went by`)), timeoutMs)
    this.#waiters.add(waiter)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      this.#waiters.delete(waiter)
    }
  }

  /** Stops reading, as a slow reader does; the buffers between fill up. */
  pause(): void {
    this.#body.pause()
  }

  resume(): void {
    this.#body.resume()
  }

  /** Hangs up, and resolves once the answer is over. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#body.destroy()
    await this.#agent.destroy()
    await this.ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #collect(): Promise<void> {
    const isStream = String(this.headers['content-type'] ?? '').startsWith('text/event-stream')
    const parser = createParser({
      onEvent: ({ id, event, data }) => this.#add({ type: event || 'message', raw: data, ...withId(id) }),
      onComment: (comment) => this.comments.push(comment),
      onRetry: (retryMs) => this.retries.push(retryMs),
    })
    const decoder = new TextDecoder()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#body.on('data', (chunk: Uint8Array) => {
      const text = decoder.decode(chunk, { stream: true })
      if (isStream) parser.feed(text)
      else this.#text += text
    })
    this.#body.once('error', (error: Error) => {
      if (!this.#isClosed) this.#error = error
    })
    this.#body.once('close', () => resolve())
    await promise
    this.#isEnded = true
    for (const { reject } of this.#waiters) reject(this.#missing('the stream ended'))
    if (!this.#isClosed) await this.#agent.destroy()
  }

  #add(event: Omit<CollectedEvent, 'data'>): void {
    this.events.push({ ...event, data: parsed(event.raw) })
    for (const { count, matches, resolve } of this.#waiters) {
      const match = this.events.filter(matches)[count - 1]
      if (match !== undefined) resolve(match)
    }
  }

  #missing(why: string): Error {
    const types = this.events.slice(-20).map(({ type }) => type)
    return new Error(
      `${why} before the event came; status ${this.status}, ${this.events.length} events, the last: ${types.join(', ')}`,
      this.#error === undefined ? {} : { cause: this.#error },
    )
  }
}

function withId(id: string | undefined): { id?: string } {
  return id === undefined ? {} : { id }
}

function parsed(raw: string): unknown {
  try {
    return JSON.parse(raw)
  } catch {
    return raw
  }
}
