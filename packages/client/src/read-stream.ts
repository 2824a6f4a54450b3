import { CLOSED_MARK, type Clock, isControlEvent, type WireEvent } from '@tributary/protocol'
import { Backoff, type BackoffOptions } from './backoff.ts'
import { type Ending, endingOf } from './disconnected.ts'
import {
  type OpenBatches,
  type OpenStream,
  type OpenStreamOptions,
  openBatches,
  type StreamPart,
} from './open-stream.ts'
import type { RequestHeaders } from './request-headers.ts'
import { StreamError } from './stream-error.ts'
import { SILENT_FAULT } from './stream-fault.ts'
import { continuation, mayRepeat, type StreamRequest } from './stream-request.ts'
import { headersWithToken, TokenRefresher, type TokenSupplier } from './token-supplier.ts'
import { wait, waitingClock } from './wait.ts'
import { type HeartbeatInterval, Watchdog } from './watchdog.ts'

/** A stream that stood for so long was a good one, also without an event, in ms. */
const STEADY_MS = 5_000

export interface ReadStreamOptions extends OpenStreamOptions, BackoffOptions {
  /**
   * How often the server sends something at least, in ms: our servers a heartbeat every 30,000. When nothing at all
   * came for 2.5 times as long, the headers included, the stream is resumed (`silent`). `learn`: as often as its
   * heartbeats come, every 30,000 at least, and only once there was one. Default, and 0: silence may last, as with
   * servers that send no heartbeats.
   */
  readonly heartbeatMs?: HeartbeatInterval
  /**
   * Called before each attempt for the token to send, as `Authorization: Bearer`; and when the server says that the one
   * of an open stream is about to end (`auth_expiring`), which then goes on with the next. Default: none is sent.
   */
  readonly token?: TokenSupplier
  /** Default: the machine's, kept awake while the reader waits. */
  readonly clock?: Clock
  /** Called each time the stream stands. */
  readonly onOpen?: (stream: Pick<OpenStream, 'headers' | 'url'>) => void
  /** Called each time it does not, before it is tried again; without an error where the server ended it. */
  readonly onInterrupt?: (error: StreamError | undefined) => void
  /** Called with each `id:` in its place between the events, before the event that bears it. */
  readonly onId?: (id: string) => void
  /** Whether a stream that has ended by itself is over. Default: never, it is resumed. */
  readonly isOver?: () => boolean
}

/**
 * Reads a stream and resumes it whenever it breaks or falls silent, from the last event id: backoff with full jitter
 * that honours `retry:` and `Retry-After`, and begins anew once an attempt brought an event, stood for 5 s, or was
 * ended by the server's timeout. A `busy` stream is a refusal, and its `retry:` what a `Retry-After` is.
 *
 * A POST is sent again only where it was refused with 429 or 503; once it stands, it is resumed as the run that its
 * answer names, by GET, and where it names none it ends as the stream does.
 *
 * Ends on 204, after `disconnected` with `"reconnect": false`, and where `isOver` says so. @throws StreamError that
 * trying again cannot mend; the signal's reason where it is aborted.
 */
export async function* readStream({ onId, ...options }: ReadStreamOptions): AsyncGenerator<WireEvent> {
  for await (const batch of readStreamBatches(options)) {
    for (const part of batch) {
      if ('event' in part) yield part.event
      else if ('id' in part) onId?.(part.id)
    }
  }
}

/** As `readStream`, but what came in one chunk comes together: for whoever reads many events a second. */
export async function* readStreamBatches(
  options: Omit<ReadStreamOptions, 'onId'>,
): AsyncGenerator<readonly StreamPart[]> {
  const { clock = waitingClock, signal, onInterrupt, isOver } = options
  const reader = new StreamReader(options, clock)
  let attempt = new AbortController()
  const stop = () => attempt.abort(signal.reason)
  signal.addEventListener('abort', stop)
  try {
    for (;;) {
      signal.throwIfAborted()
      attempt = new AbortController()
      let failure: StreamError | undefined
      try {
        yield* reader.attempt(attempt)
        if (reader.isFinal) return
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof StreamError) || !error.retryable) throw error
        failure = error
      }
      if (failure === undefined && isOver?.()) return
      if (!reader.mayGoOn(failure)) {
        if (failure === undefined) return
        throw failure
      }
      onInterrupt?.(failure)
      await wait(reader.waitMs(failure), clock, signal)
    }
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** What a reader knows from one attempt to the next. */
class StreamReader {
  readonly #options: Omit<ReadStreamOptions, 'onId'>
  readonly #clock: Clock
  readonly #backoff: Backoff
  readonly #watchdog: Watchdog
  readonly #refresher: TokenRefresher | undefined
  readonly #headers: RequestHeaders
  #request: StreamRequest
  #lastEventId: string | undefined
  #ending: Ending | undefined
  #isOver = false

  constructor(options: Omit<ReadStreamOptions, 'onId'>, clock: Clock) {
    const { url, method = 'GET', body, lastEventId, heartbeatMs, headers = {}, token, fetch } = options
    this.#options = options
    this.#clock = clock
    this.#backoff = new Backoff(options)
    this.#watchdog = new Watchdog(clock, heartbeatMs)
    this.#headers = headersWithToken(headers, token)
    this.#refresher = token === undefined ? undefined : new TokenRefresher({ token, fetch, url })
    this.#request = { url, method, ...(body === undefined ? {} : { body }) }
    // Who opens a stream anew has decided to: that the one before was closed for good is no reason to refuse it.
    this.#lastEventId = lastEventId?.endsWith(CLOSED_MARK)
      ? lastEventId.slice(0, -CLOSED_MARK.length)
      : lastEventId
  }

  /** Whether the server has said that there is nothing more. */
  get isFinal(): boolean {
    return this.#isOver
  }

  mayGoOn(failure: StreamError | undefined): boolean {
    return mayRepeat(this.#request, failure)
  }

  waitMs(failure: StreamError | undefined): number {
    return this.#backoff.nextMs(this.#ending === 'busy' ? this.#backoff.askedMs : failure?.retryAfterMs)
  }

  /** Opens the stream once, and reads it to its end. */
  async *attempt(controller: AbortController): AsyncGenerator<readonly StreamPart[]> {
    const { fetch, maxEventChars, onOpen } = this.#options
    const headers = this.#headers
    const { signal } = controller
    this.#ending = undefined
    this.#watchdog.start((limitMs) => {
      const message = `Nothing came for ${limitMs} ms`
      controller.abort(new StreamError('silent', message, SILENT_FAULT))
    })
    try {
      const stream = await openBatches(
        { ...this.#request, fetch, headers, maxEventChars, signal, lastEventId: this.#lastEventId },
        () => this.#clock.now(),
        this.#watchdog,
      )
      if (stream === undefined) {
        this.#isOver = true
        return
      }
      this.#watchdog.opened()
      this.#request = continuation(this.#request, stream)
      onOpen?.(stream)
      yield* this.#batches(stream, signal)
    } finally {
      this.#watchdog.stop()
    }
  }

  async *#batches({ batches, url }: OpenBatches, signal: AbortSignal): AsyncGenerator<readonly StreamPart[]> {
    const openedAtMs = this.#clock.now()
    try {
      for await (const batch of batches) {
        const count = this.#take(batch)
        if (this.#refresher !== undefined) this.#tell(this.#refresher, batch, url, signal)
        yield count < batch.length ? batch.slice(0, count) : batch
        if (this.#isOver) return
      }
    } finally {
      if (this.#clock.now() - openedAtMs >= STEADY_MS) this.#backoff.reset()
    }
  }

  #tell(refresher: TokenRefresher, batch: readonly StreamPart[], url: string, signal: AbortSignal): void {
    for (const part of batch) if ('event' in part) refresher.note(part.event, url, signal)
  }

  /** Takes note of the parts. Answers how many of them count: what comes behind the end does not. */
  #take(batch: readonly StreamPart[]): number {
    let count = 0
    for (const part of batch) {
      count += 1
      if ('event' in part) {
        this.#note(part.event)
        if (this.#isOver) break
      } else if ('id' in part) this.#lastEventId = part.id
      else this.#backoff.ask(part.retryMs)
    }
    return count
  }

  #note(event: WireEvent): void {
    if (event.type === 'heartbeat') this.#watchdog.beat()
    this.#ending = endingOf(event)
    this.#isOver = this.#ending === 'final'
    if (this.#ending === 'timeout' || !isControlEvent(event.type)) this.#backoff.reset()
  }
}
