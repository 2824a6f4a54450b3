import { readStream, StreamError } from '@tributary/client'
import { type LogEntry, MirrorLog, StoredEvent } from '@tributary/eventlog'
import {
  type Clock,
  COMPLETE,
  EventEnvelope,
  ProblemError,
  parseEventId,
  type SourceUnavailableData,
  type WireEvent,
} from '@tributary/protocol'
import type { LogStream } from '@tributary/sse'
import { Compile } from 'typebox/compile'
import type { Worker } from './worker.ts'

const envelope = Compile(EventEnvelope)

/** How long a mirror that nobody reads is kept, so that a reader who drops for a moment finds it again. */
const IDLE_MS = 10_000

/** How long a reader who comes back waits until the mirror has come as far as he was. */
const REACH_MS = 2_000

export interface RunMirrorOptions {
  readonly runId: string
  readonly worker: Worker
  readonly clock: Clock
  readonly random: () => number
  /** Entries kept. */
  readonly maxEvents: number
  /** Characters of one event at most. */
  readonly maxEventChars: number
  readonly giveUpMs: number
  /** Called once, when nobody needs it any more. */
  readonly onIdle: () => void
}

/** A worker's run as its readers at this gateway share it: one upstream, however many they are. */
export class RunMirror {
  readonly runId: string
  readonly log: MirrorLog
  readonly #options: RunMirrorOptions
  readonly #stop = new AbortController()
  readonly #streams = new Set<LogStream>()
  readonly #opened = Promise.withResolvers<void>()
  readonly #release: () => void
  #everOpened = false
  #holders = 0
  #cancelIdle: (() => void) | undefined
  #cancelGiveUp: (() => void) | undefined
  #unavailableSince: number | undefined

  constructor(options: RunMirrorOptions) {
    const { runId, worker, clock, maxEvents } = options
    this.runId = runId
    this.#options = options
    const retention = { maxEvents, maxAgeMs: Number.POSITIVE_INFINITY }
    this.log = new MirrorLog({ runId, retention, now: () => clock.now() })
    this.#release = worker.hold()
    // Until somebody holds it: whoever asked for it may have left already.
    this.#cancelIdle = clock.after(IDLE_MS, () => this.close())
    // Whoever waits for it hears of a failure; where nobody does it is not an unhandled one.
    this.#opened.promise.catch(() => undefined)
    void this.#read().finally(this.#release)
  }

  get worker(): Worker {
    return this.#options.worker
  }

  /** Resolves once the upstream stands. @throws ProblemError where the worker refuses it or cannot be reached. */
  get opened(): Promise<void> {
    return this.#opened.promise
  }

  /** Whether it is given up; its log grows no more. */
  get closed(): boolean {
    return this.#stop.signal.aborted
  }

  /** Calls back when the mirror is closed; the answer takes that back. */
  onClosed(listener: () => void): () => void {
    const { signal } = this.#stop
    signal.addEventListener('abort', listener, { once: true })
    return () => signal.removeEventListener('abort', listener)
  }

  /** Resolves once the mirror holds this number or the worker can say no more, and within a moment at the latest. */
  async reach(n: number): Promise<void> {
    await this.opened
    if (this.log.head.n >= n || this.log.closed || this.closed) return
    const reached = Promise.withResolvers<void>()
    const untail = this.log.tail(({ position }) => {
      if (position.n >= n || this.log.closed) reached.resolve()
    })
    const offClosed = this.onClosed(reached.resolve)
    const cancel = this.#options.clock.after(REACH_MS, reached.resolve)
    await reached.promise
    untail()
    offClosed()
    cancel()
  }

  /** Keeps the mirror; the answer lets it go, once. */
  hold(): () => void {
    this.#holders += 1
    this.#cancelIdle?.()
    this.#cancelIdle = undefined
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#holders -= 1
      if (this.#holders === 0) this.#cancelIdle = this.#options.clock.after(IDLE_MS, () => this.close())
    }
  }

  /** Notes a reader's stream, which is told when the upstream is away, and keeps the mirror while it lasts. */
  attach(stream: LogStream): void {
    if (this.closed) {
      stream.end('upstream_lost')
      return
    }
    const release = this.hold()
    this.#streams.add(stream)
    if (this.#unavailableSince !== undefined) this.#tellUnavailable(stream, this.#unavailableSince)
    stream.onEnd(() => {
      this.#streams.delete(stream)
      release()
    })
  }

  close(): void {
    if (this.#stop.signal.aborted) return
    this.#cancelIdle?.()
    this.#cancelGiveUp?.()
    this.#stop.abort()
    for (const stream of this.#streams) stream.end('upstream_lost')
    this.#options.onIdle()
  }

  async #read(): Promise<void> {
    const { worker, runId, clock, random, maxEventChars } = this.#options
    try {
      const events = readStream({
        url: `${worker.url}/api/runs/${runId}/events?format=envelope`,
        fetch: worker.fetch,
        signal: this.#stop.signal,
        clock,
        random,
        maxEventChars,
        onOpen: () => this.#available(),
        onInterrupt: () => this.#unavailable(),
        isOver: () => this.log.closed,
      })
      for await (const event of events) {
        this.#take(event)
        if (this.log.closed) break
      }
    } catch (error) {
      if (this.#stop.signal.aborted) return
      this.#opened.reject(openFailure(error, runId))
      this.close()
    }
  }

  #take(event: WireEvent): void {
    const position = event.id === undefined ? undefined : parseEventId(event.id)
    if (position === undefined || position.n === 0) return
    const data: unknown = JSON.parse(event.data)
    // Control frames are for one connection, and this connection is ours.
    if (!envelope.Check(data) || data.id === null) return
    const { id, type, timestamp, priority, source, metadata } = data
    const head = { id, type, timestamp, priority, source, ...(metadata === undefined ? {} : { metadata }) }
    const entry: LogEntry = {
      position: { ms: position.ms, n: position.n },
      event: new StoredEvent(head, JSON.stringify(data.data)),
      audience: undefined,
      topics: [],
      frames: undefined,
    }
    this.log.add(entry, type === COMPLETE)
  }

  #available(): void {
    this.#everOpened = true
    this.#opened.resolve()
    this.#unavailableSince = undefined
    this.#cancelGiveUp?.()
    this.#cancelGiveUp = undefined
  }

  #unavailable(): void {
    if (!this.#everOpened) {
      this.#giveUp()
      return
    }
    if (this.#unavailableSince !== undefined) return
    const { clock, giveUpMs } = this.#options
    this.#unavailableSince = clock.now()
    for (const stream of this.#streams) this.#tellUnavailable(stream, this.#unavailableSince)
    this.#cancelGiveUp = clock.after(giveUpMs, () => this.#giveUp())
  }

  /** Ends the readers' streams, not the run: they come back, and so may the worker. */
  #giveUp(): void {
    const detail = 'The worker of this run cannot be reached; try again in a moment.'
    this.#opened.reject(new ProblemError('upstream_unavailable', detail, { retryAfterS: 1 }))
    this.close()
  }

  #tellUnavailable(stream: LogStream, since: number): void {
    const data: SourceUnavailableData = { source: 'worker', since, retryable: true }
    stream.stream.control('source_unavailable', data)
  }
}

function openFailure(error: unknown, runId: string): ProblemError {
  if (error instanceof StreamError && (error.status === 404 || error.status === 410)) {
    return new ProblemError('run_not_found', `There is no run ${JSON.stringify(runId)} any more.`, {
      cause: error,
    })
  }
  const message = error instanceof Error ? error.message : String(error)
  return new ProblemError('upstream_failed', `The worker's stream cannot be read: ${message}`, {
    cause: error,
  })
}
