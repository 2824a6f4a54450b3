import { setTimeout as delay } from 'node:timers/promises'
import { EventSource as OwnEventSource, readStream, StreamError } from '@tributary/client'
import { EventSource } from 'eventsource'
import { type HubNote, type HubReaderRecord, numberOf } from './ledger.ts'
import { PUBLISHED_TYPES } from './publisher.ts'
import type { SeededRandom } from './seeded-random.ts'

/** How a reader reads: as a client of ours, as one who keeps hanging up, as an EventSource, by turns as a stream and by polls. */
export const HUB_READER_KINDS = ['stream', 'hang-up', 'eventsource', 'own-eventsource', 'polling'] as const
export type HubReaderKind = (typeof HUB_READER_KINDS)[number]

export interface HubReaderOptions {
  readonly name: string
  readonly kind: HubReaderKind
  /** The gateway, by whatever way. */
  readonly url: string
  readonly user: string
  readonly token: string
  readonly groups: readonly string[]
  /** The cursor to begin with. Default: before the oldest event. */
  readonly since?: string
  readonly heartbeatMs: number
  readonly random: SeededRandom
  /** Called where it cannot go on, though it should. */
  onFault(fault: string): void
}

/** The cursor before the oldest event that is kept. */
const BEGINNING = '0'
const RETRY_MS = 100
/** Half a minute, as by default, would only make rounds long. */
const MAX_RETRY_MS = 1_000

/** A reader of the hub's stream, from the first event on, that notes what it gets. */
export class HubReader implements AsyncDisposable {
  readonly name: string
  readonly topics: ReadonlySet<string>
  readonly #options: HubReaderOptions
  readonly #stop = new AbortController()
  readonly #done: Promise<void>
  #notes: HubNote[] = []
  #cursor: string
  readonly #keys = new Set<string>()

  constructor(options: HubReaderOptions) {
    const { kind, user, groups, onFault } = options
    this.name = options.name
    this.#options = options
    this.#cursor = options.since ?? BEGINNING
    this.topics = new Set(['all', `user:${user}`, ...groups.map((group) => `group:${group}`)])
    const ways: Record<HubReaderKind, () => Promise<void>> = {
      stream: () => this.#readStream(this.#stop.signal),
      'hang-up': () => this.#hangUpAgainAndAgain(),
      eventsource: () => this.#readByEventSource((url) => new EventSource(url)),
      'own-eventsource': () =>
        this.#readByEventSource((url) => new OwnEventSource(url, { maxRetryMs: MAX_RETRY_MS })),
      polling: () => this.#readByTurns(),
    }
    this.#done = ways[kind]().catch((error: unknown) => {
      if (!this.#stop.signal.aborted) onFault(`${this.name} had to give up: ${describe(error)}`)
    })
  }

  /** Whether it got an event since its record was taken last. */
  has(key: string): boolean {
    return this.#keys.has(key)
  }

  /** What it noted since the last time; it is forgotten here. */
  takeRecord(): HubReaderRecord {
    const notes = this.#notes
    this.#notes = []
    this.#keys.clear()
    return { name: this.name, topics: this.topics, notes }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#done
  }

  #address(path: string, more: Readonly<Record<string, string>> = {}): string {
    const { url, token, groups } = this.#options
    return `${url}${path}?${new URLSearchParams({ token, groups: groups.join(','), ...more })}`
  }

  #note(type: string, id: string, data: unknown): void {
    if (type === 'gap') {
      const said = (name: string) => String(field(data, name))
      this.#notes.push({ kind: 'gap', from: said('from'), to: said('to'), reason: said('reason') })
    } else if (isPublished(type)) {
      const key = String(field(data, 'key'))
      this.#notes.push({ kind: 'event', id, key })
      this.#keys.add(key)
    }
  }

  /** An id that goes back would have events come twice after the next drop. */
  #moveTo(id: string): void {
    if (numberOf(id) < numberOf(this.#cursor)) this.#notes.push({ kind: 'back', from: this.#cursor, to: id })
    this.#cursor = id
  }

  async #readStream(signal: AbortSignal): Promise<void> {
    const events = readStream({
      url: this.#address('/api/sse/managed/connect'),
      fetch,
      signal,
      lastEventId: this.#cursor,
      retryMs: RETRY_MS,
      maxRetryMs: MAX_RETRY_MS,
      heartbeatMs: this.#options.heartbeatMs,
      onId: (id) => this.#moveTo(id),
    })
    for await (const { type, id = '', data } of events) this.#note(type, id, JSON.parse(data))
    signal.throwIfAborted()
    throw new Error('the server ended the stream for good')
  }

  async #hangUpAgainAndAgain(): Promise<void> {
    for (;;) {
      await this.#readFor(this.#options.random.int(50, 1_500))
      this.#stop.signal.throwIfAborted()
    }
  }

  async #readFor(ms: number): Promise<void> {
    const enough = AbortSignal.timeout(ms)
    await this.#readStream(AbortSignal.any([this.#stop.signal, enough])).catch((error: unknown) => {
      if (!enough.aborted) throw error
    })
  }

  async #readByTurns(): Promise<void> {
    const { random } = this.#options
    for (;;) {
      await this.#readFor(random.int(50, 1_000))
      for (let left = random.int(1, 5); left > 0; left--) await this.#poll(random.int(1, 20))
    }
  }

  async #poll(limit: number): Promise<void> {
    const { signal } = this.#stop
    signal.throwIfAborted()
    const query = { since: this.#cursor, limit: String(limit), wait: '500' }
    const answer = await fetch(this.#address('/api/realtime/polling', query), {
      signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
    }).catch(() => undefined)
    const text = await answer?.text().catch(() => undefined)
    if (answer === undefined || text === undefined || answer.status === 429 || answer.status >= 500) {
      await delay(RETRY_MS)
      return
    }
    const page: unknown = JSON.parse(text)
    const [events, gap, cursor] = [field(page, 'events'), field(page, 'gap'), field(page, 'cursor')]
    if (answer.status !== 200 || !Array.isArray(events) || typeof cursor !== 'string') {
      throw new Error(`a poll was answered ${answer.status} ${text}`)
    }
    if (gap !== undefined) this.#note('gap', cursor, gap)
    for (const event of events) {
      this.#note(String(field(event, 'type')), String(field(event, 'id')), field(event, 'data'))
    }
    this.#moveTo(cursor)
  }

  /** Until the end; an EventSource that gives up is a fault, since people's pages would stand still. */
  async #readByEventSource(open: (url: string) => EventSource | OwnEventSource): Promise<void> {
    const { signal } = this.#stop
    const over = Promise.withResolvers<void>()
    const source = open(this.#address('/api/sse/managed/connect', { since: this.#cursor }))
    for (const type of [...PUBLISHED_TYPES, 'gap']) {
      source.addEventListener(type, (event: Event) => {
        this.#note(type, String(field(event, 'lastEventId')), JSON.parse(String(field(event, 'data'))))
      })
    }
    source.addEventListener('error', (event: Event) => {
      if (source.readyState !== source.CLOSED || signal.aborted) return
      over.reject(new Error(`its EventSource is closed: ${describe(event)}`))
    })
    signal.addEventListener('abort', () => over.resolve(), { once: true })
    try {
      await over.promise
    } finally {
      source.close()
    }
  }
}

function isPublished(type: string): boolean {
  return PUBLISHED_TYPES.some((published) => published === type)
}

function field(data: unknown, name: string): unknown {
  return typeof data === 'object' && data !== null ? Reflect.get(data, name) : undefined
}

function describe(error: unknown): string {
  if (error instanceof StreamError) {
    return [error.message, error.body, error.cause].filter((part) => part !== undefined).join('; ')
  }
  return String(field(error, 'message') ?? error)
}
