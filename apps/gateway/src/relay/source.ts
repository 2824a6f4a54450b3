import { type Fetch, readStream, StreamError } from '@tributary/client'
import { classifyError } from '@tributary/outbound'
import {
  type Clock,
  COMPLETE,
  type ErrorCode,
  type HttpMethod,
  ProblemError,
  standardName,
  type TaskErrorCode,
} from '@tributary/protocol'
import type { RunMirror } from './run-mirror.ts'

/** An event of a source, under the standard names. */
export interface SourceEvent {
  readonly type: string
  readonly data: unknown
}

/** A stream that is read into a run. */
export interface Source {
  readonly name: string
  /**
   * The source's events, in its order; the last is its `complete`, where it has one.
   *
   * @throws SourceError where it breaks; the signal's reason where it is aborted.
   */
  read(signal: AbortSignal): AsyncGenerator<SourceEvent>
  /** Stops the work behind it, where that was begun for this source alone. */
  cancel(): Promise<void>
}

/** A source that failed, in words and a code for its readers. */
export class SourceError extends Error {
  override readonly name = 'SourceError'
  readonly code: TaskErrorCode | ErrorCode

  constructor(code: TaskErrorCode | ErrorCode, message: string, cause: unknown) {
    super(message, { cause })
    this.code = code
  }

  static from(error: unknown): SourceError {
    if (error instanceof SourceError) return error
    if (error instanceof ProblemError) return new SourceError(error.code, error.message, error)
    if (error instanceof StreamError && error.code !== 'connection') {
      const code = error.code === 'event_too_large' ? 'event_too_large' : statusCode(error.status)
      return new SourceError(code, error.message, error)
    }
    const { code, message } = classifyError(error)
    return new SourceError(
      code,
      error instanceof StreamError && code === 'task_failed' ? error.message : message,
      error,
    )
  }
}

function statusCode(status: number | undefined): TaskErrorCode | ErrorCode {
  if (status === undefined || status < 400) return 'upstream_failed'
  return status < 500 ? 'http_4xx' : 'http_5xx'
}

/** Another Tributary's control frames, and what every server calls its own. */
const SWALLOWED = new Set(['connection', 'heartbeat', 'disconnected'])

export interface ForeignSourceOptions {
  readonly name: string
  readonly url: string
  readonly method: HttpMethod
  readonly body: string | undefined
  readonly fetch: Fetch
  readonly clock: Clock
  readonly random: () => number
  readonly maxEventChars: number
  /** How long it is waited for where it can be resumed. */
  readonly giveUpMs: number
}

/** The longest wait between two attempts to resume. */
const MAX_RESUME_WAIT_MS = 5_000

/**
 * A stream of somebody else. A GET that sends ids is resumed where it breaks; anything else is read once: what a
 * POST began is not begun again. What ends cleanly has ended.
 */
export class ForeignSource implements Source {
  readonly name: string
  readonly #options: ForeignSourceOptions

  constructor(options: ForeignSourceOptions) {
    this.name = options.name
    this.#options = options
  }

  async *read(signal: AbortSignal): AsyncGenerator<SourceEvent> {
    const { name: _, giveUpMs, body, ...request } = this.#options
    const { method, clock } = request
    let sendsIds = false
    let awaySince: number | undefined
    const events = readStream({
      ...request,
      ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }),
      signal,
      maxRetryMs: MAX_RESUME_WAIT_MS,
      isOver: () => true,
      onOpen: () => {
        awaySince = undefined
      },
      onInterrupt: (failure) => {
        awaySince ??= clock.now()
        if (method !== 'GET' || !sendsIds || clock.now() - awaySince >= giveUpMs) throw failure
      },
    })
    try {
      for await (const event of events) {
        sendsIds ||= event.id !== undefined
        if (SWALLOWED.has(event.type)) continue
        const data = jsonOrText(event.data)
        const type = standardName(event.type, data)
        yield { type, data }
        if (type === COMPLETE) return
      }
    } catch (error) {
      signal.throwIfAborted()
      throw SourceError.from(error)
    }
  }

  async cancel(): Promise<void> {
    // Closing its stream is all that we can do.
  }
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

export interface WorkerRunSourceOptions {
  readonly name: string
  readonly mirror: RunMirror
  /** From the mirror's `hold`; called when the source has been read. */
  readonly release: () => void
  /** Whether the run was begun for this source, and ends with it. */
  readonly owned: boolean
}

/** A run of a worker, read through its mirror: resumed where its upstream breaks, shared with its other readers. */
export class WorkerRunSource implements Source {
  readonly name: string
  readonly #mirror: RunMirror
  readonly #release: () => void
  readonly #owned: boolean

  constructor({ name, mirror, release, owned }: WorkerRunSourceOptions) {
    this.name = name
    this.#mirror = mirror
    this.#release = release
    this.#owned = owned
  }

  async *read(signal: AbortSignal): AsyncGenerator<SourceEvent> {
    const { log } = this.#mirror
    let wake = Promise.withResolvers<void>()
    const ready = () => wake.resolve()
    const untail = log.tail(ready)
    const offClosed = this.#mirror.onClosed(ready)
    signal.addEventListener('abort', ready, { once: true })
    try {
      await this.#mirror.opened
      for (let after = 0; ; ) {
        signal.throwIfAborted()
        wake = Promise.withResolvers()
        const page = await log.read(after)
        for (const { position, event } of page.entries) {
          after = position.n
          yield { type: event.type, data: event.data }
          if (event.type === COMPLETE) return
        }
        if (page.hasMore || log.head.n > after) continue
        if (this.#mirror.closed) throw new SourceError('worker_lost', 'The worker stayed away', undefined)
        await wake.promise
      }
    } catch (error) {
      signal.throwIfAborted()
      throw SourceError.from(error)
    } finally {
      untail()
      offClosed()
      signal.removeEventListener('abort', ready)
      this.#release()
    }
  }

  async cancel(): Promise<void> {
    this.#release()
    if (!this.#owned) return
    await this.#mirror.worker.request(`/api/runs/${this.#mirror.runId}/cancel`, { method: 'POST' })
  }
}
