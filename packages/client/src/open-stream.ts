import { EventTooLongError, type HttpMethod, SseDecoder, type WireEvent } from '@tributary/protocol'
import { type Body, bodyChunks } from './body-chunks.ts'
import { type RequestHeaders, requestHeaders } from './request-headers.ts'
import { retryAfterMs } from './retry-after.ts'
import { StreamError } from './stream-error.ts'
import { CONNECTION_FAULT, FOREIGN_ANSWER, faultOfProblem, faultOfStatus } from './stream-fault.ts'

/**
 * The part of `fetch` that a reader needs; a browser's, Node's, undici's and a guarded one all fit. The signal ends
 * the request, and the body after it.
 */
export type Fetch = (
  url: string,
  init: {
    method?: HttpMethod
    headers: Record<string, string>
    body?: string
    signal: AbortSignal
    cache?: 'no-store'
    credentials?: 'include'
  },
) => Promise<FetchAnswer>

/** The part of a `Response` that a reader needs. */
export interface FetchAnswer {
  readonly status: number
  readonly headers: { get(name: string): string | null }
  readonly body: Body | null
  /** What answered, after redirects. Default: what was asked. */
  readonly url?: string
}

export interface OpenStreamOptions {
  readonly url: string
  readonly fetch: Fetch
  /** Default GET. */
  readonly method?: HttpMethod
  /** Beside `Accept`. A function is called for each attempt; while it fails, the stream is tried again. */
  readonly headers?: RequestHeaders
  readonly body?: string
  /** The cursor to go on from. */
  readonly lastEventId?: string | undefined
  readonly signal: AbortSignal
  /** Characters of one event at most. Default 1 MiB. */
  readonly maxEventChars?: number | undefined
}

/** Who is told when bytes are waited for, and when they are not. */
export interface ByteWatch {
  pause(): void
  resume(): void
}

/** An open stream. Its events come once, in order. */
export interface OpenStream {
  readonly headers: FetchAnswer['headers']
  /** What answered, after redirects. */
  readonly url: string
  /**
   * Ends when the stream does. A chunk is read when its events are asked for, so a slow reader slows the server
   * down, and no more is held than a chunk and one event that has not ended. @throws StreamError where it breaks.
   */
  readonly events: AsyncGenerator<StreamPart>
}

/** The same, with the parts of each chunk together: what is done for each of many events costs less then. */
export interface OpenBatches extends Omit<OpenStream, 'events'> {
  readonly batches: AsyncGenerator<readonly StreamPart[]>
}

/** An event, or the wait that the server asks for. */
export type StreamPart =
  | { readonly event: WireEvent }
  | { readonly retryMs: number }
  | { readonly id: string }

/** What is read of an answer that is no stream. */
const MAX_ERROR_CHARS = 4_096

/** Statuses below 500 that may be another one next time. RFC 9110, 15.5.9; RFC 8470, 5.2; RFC 6585, 4. */
const RETRYABLE_STATUSES: ReadonlySet<number> = new Set([408, 425, 429])

/**
 * Opens a stream once. Answers `undefined` on 204: there is nothing more.
 *
 * @throws StreamError where the answer is no stream or there is none; the signal's reason where it is aborted.
 */
export async function openStream(options: OpenStreamOptions): Promise<OpenStream | undefined> {
  const stream = await openBatches(options, Date.now)
  if (stream === undefined) return undefined
  const { batches, ...answer } = stream
  return { ...answer, events: each(batches) }
}

async function* each(batches: AsyncIterable<readonly StreamPart[]>): AsyncGenerator<StreamPart> {
  // Not `yield*`, which would wait for each part as if it were a promise.
  for await (const batch of batches) for (const part of batch) yield part
}

/** As `openStream`. @param watch told while bytes are waited for. */
export async function openBatches(
  options: OpenStreamOptions,
  nowMs: () => number,
  watch?: ByteWatch,
): Promise<OpenBatches | undefined> {
  const { url, fetch, method = 'GET', headers = {}, body, lastEventId, signal } = options
  const failed = (message: string) => (error: unknown) => {
    signal.throwIfAborted()
    throw new StreamError('connection', message, { ...CONNECTION_FAULT, cause: error })
  }
  const sent = await requestHeaders(headers, lastEventId).catch(failed('The headers could not be made'))
  signal.throwIfAborted()
  const answer = await fetch(url, {
    method,
    headers: sent,
    ...(body === undefined ? {} : { body }),
    signal,
  }).catch(failed('The stream could not be opened'))
  if (answer.status === 204) return undefined
  if (answer.status !== 200) throw await refused(answer, nowMs())
  const contentType = answer.headers.get('content-type') ?? 'nothing'
  if (!/^text\/event-stream\b/i.test(contentType)) {
    throw new StreamError('content_type', `The answer is ${contentType}, not text/event-stream`, {
      ...FOREIGN_ANSWER,
      status: 200,
      body: await beginningOf(answer),
    })
  }
  return { headers: answer.headers, url: answer.url || url, batches: readBatches(answer, options, watch) }
}

async function refused(answer: FetchAnswer, nowMs: number): Promise<StreamError> {
  const { status, headers } = answer
  // A server that is overloaded or not there yet may be soon; one that refuses will again.
  const retryable = RETRYABLE_STATUSES.has(status) || status >= 500
  const body = await beginningOf(answer)
  return new StreamError('status', `The answer was HTTP ${status}`, {
    ...(faultOfProblem(body) ?? faultOfStatus(status, retryable)),
    retryable,
    status,
    body,
    retryAfterMs: retryAfterMs(headers.get('retry-after'), nowMs),
  })
}

/** What is no stream may have no end: no more of it is read than is kept. */
async function beginningOf({ body }: FetchAnswer): Promise<string> {
  if (body === null) return ''
  const decoder = new TextDecoder()
  let text = ''
  try {
    for await (const chunk of bodyChunks(body)) {
      text += decoder.decode(chunk, { stream: true })
      if (text.length >= MAX_ERROR_CHARS) break
    }
  } catch {
    // It broke off; what came before is all there is.
  }
  return text.slice(0, MAX_ERROR_CHARS)
}

async function* readBatches(
  { body }: FetchAnswer,
  { signal, maxEventChars }: OpenStreamOptions,
  watch: ByteWatch | undefined,
): AsyncGenerator<readonly StreamPart[]> {
  let ready: StreamPart[] = []
  const decoder = new SseDecoder({
    onEvent: (event) => ready.push({ event }),
    onId: (id) => ready.push({ id }),
    onRetry: (retryMs) => ready.push({ retryMs }),
    ...(maxEventChars === undefined ? {} : { maxEventChars }),
  })
  if (body === null) return
  try {
    for await (const chunk of bodyChunks(body)) {
      watch?.pause()
      decoder.feed(chunk)
      const batch = ready
      ready = []
      if (batch.length > 0) yield batch
      watch?.resume()
    }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof EventTooLongError) {
      throw new StreamError('event_too_large', error.message, { ...FOREIGN_ANSWER, cause: error })
    }
    throw new StreamError('connection', 'The stream broke off', { ...CONNECTION_FAULT, cause: error })
  }
}
