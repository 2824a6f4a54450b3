import { type Clock, systemClock, type WireEvent } from '@tributary/protocol'
import { type OpenStreamOptions, openStream } from './open-stream.ts'
import { StreamError } from './stream-error.ts'

export const DEFAULT_RETRY_MS = 1_000
/** What a server asks for is taken for at least this, so that one that breaks at once is not asked without a pause. */
const MIN_RETRY_MS = 100
/** No wait between two attempts is longer. */
export const DEFAULT_MAX_RETRY_MS = 30_000

export interface ReadStreamOptions extends OpenStreamOptions {
  /** The longest wait before the first attempt to come back, until the server names another. Default 1,000. */
  readonly retryMs?: number
  /** Default 30,000. */
  readonly maxRetryMs?: number
  /** Default: the machine's. */
  readonly clock?: Clock
  /** 0 to 1. Default `Math.random`. */
  readonly random?: () => number
  /** Called each time the stream stands. */
  readonly onOpen?: (headers: { get(name: string): string | null }) => void
  /** Called each time it does not. */
  readonly onInterrupt?: (error: StreamError | undefined) => void
  /** Whether a stream that has ended by itself is over. Default: never, it is resumed. */
  readonly isOver?: () => boolean
}

/**
 * Reads a stream and resumes it whenever it breaks, from the last event id: backoff with full jitter that
 * honours `retry:` and `Retry-After`.
 *
 * Ends on 204, and where `isOver` says so. @throws StreamError that trying again cannot mend; the signal's
 * reason where it is aborted.
 */
export async function* readStream(options: ReadStreamOptions): AsyncGenerator<WireEvent> {
  const { clock = systemClock, random = Math.random, signal, onOpen, onInterrupt, isOver } = options
  const { maxRetryMs = DEFAULT_MAX_RETRY_MS } = options
  let retryMs = options.retryMs ?? DEFAULT_RETRY_MS
  let { lastEventId } = options
  let attempt = 0
  for (;;) {
    let failure: StreamError | undefined
    try {
      const stream = await openStream({ ...options, lastEventId })
      if (stream === undefined) return
      onOpen?.(stream.headers)
      for await (const part of stream.events) {
        attempt = 0
        if ('retryMs' in part) retryMs = Math.min(Math.max(part.retryMs, MIN_RETRY_MS), maxRetryMs)
        else if ('id' in part) lastEventId = part.id
        else yield part.event
      }
    } catch (error) {
      if (!(error instanceof StreamError) || !error.retryable) throw error
      failure = error
    }
    if (failure === undefined && isOver?.()) return
    onInterrupt?.(failure)
    const backoffMs = Math.min(maxRetryMs, retryMs * 2 ** attempt) * random()
    attempt = Math.min(attempt + 1, 16)
    await wait(Math.min(maxRetryMs, (failure?.retryAfterMs ?? 0) + backoffMs), clock, signal)
  }
}

function wait(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      cancel()
      reject(signal.reason)
    }
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', stop)
      resolve()
    })
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}
