import { EventTooLongError, type HttpMethod, SseDecoder, type WireEvent } from '@tributary/protocol'
import { StreamError } from './stream-error.ts'

/** The part of `fetch` that a reader needs; a browser's, Node's, undici's and a guarded one all fit. */
export type Fetch = (
  url: string,
  init: {
    method?: HttpMethod
    headers: Record<string, string>
    body?: string
    signal: AbortSignal
  },
) => Promise<FetchAnswer>

/** The part of a `Response` that a reader needs. */
export interface FetchAnswer {
  readonly status: number
  readonly headers: { get(name: string): string | null }
  readonly body: AsyncIterable<Uint8Array> | null
}

export interface OpenStreamOptions {
  readonly url: string
  readonly fetch: Fetch
  /** Default GET. */
  readonly method?: HttpMethod
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** The cursor to go on from. */
  readonly lastEventId?: string | undefined
  readonly signal: AbortSignal
  /** Characters of one event at most. Default 1 MiB. */
  readonly maxEventChars?: number | undefined
}

/** An open stream. Its events come once, in order. */
export interface OpenStream {
  readonly headers: FetchAnswer['headers']
  /** Ends when the stream does. @throws StreamError where it breaks. */
  readonly events: AsyncGenerator<StreamPart>
}

/** An event, or the wait that the server asks for. */
export type StreamPart =
  | { readonly event: WireEvent }
  | { readonly retryMs: number }
  | { readonly id: string }

/** What is read of an answer that is no stream. */
const MAX_ERROR_CHARS = 4_096

/**
 * Opens a stream once. Answers `undefined` on 204: there is nothing more.
 *
 * @throws StreamError where the answer is no stream or there is none; the signal's reason where it is aborted.
 */
export async function openStream(options: OpenStreamOptions): Promise<OpenStream | undefined> {
  const { url, fetch, method = 'GET', headers = {}, body, lastEventId, signal } = options
  const answer = await fetch(url, {
    method,
    headers: {
      accept: 'text/event-stream',
      ...headers,
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    },
    ...(body === undefined ? {} : { body }),
    signal,
  }).catch((error: unknown) => {
    signal.throwIfAborted()
    throw new StreamError('connection', 'The stream could not be opened', { cause: error, retryable: true })
  })
  if (answer.status === 204) return undefined
  if (answer.status !== 200) throw await refused(answer)
  const contentType = answer.headers.get('content-type') ?? 'nothing'
  if (!/^text\/event-stream\b/i.test(contentType)) {
    throw new StreamError('content_type', `The answer is ${contentType}, not text/event-stream`, {
      retryable: false,
      status: 200,
      body: await beginningOf(answer),
    })
  }
  return { headers: answer.headers, events: parts(answer, options) }
}

async function refused(answer: FetchAnswer): Promise<StreamError> {
  const { status } = answer
  const retryAfterS = Number(answer.headers.get('retry-after') ?? Number.NaN)
  return new StreamError('status', `The answer was HTTP ${status}`, {
    // A server that is overloaded or not there yet may be soon; one that refuses will again.
    retryable: status === 408 || status === 429 || status >= 500,
    status,
    body: await beginningOf(answer),
    retryAfterMs: Number.isFinite(retryAfterS) ? retryAfterS * 1_000 : undefined,
  })
}

/** What is no stream may have no end: no more of it is read than is kept. */
async function beginningOf({ body }: FetchAnswer): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  try {
    for await (const chunk of body ?? []) {
      text += decoder.decode(chunk, { stream: true })
      if (text.length >= MAX_ERROR_CHARS) break
    }
  } catch {
    // It broke off; what came before is all there is.
  }
  return text.slice(0, MAX_ERROR_CHARS)
}

async function* parts(
  answer: FetchAnswer,
  { signal, maxEventChars }: OpenStreamOptions,
): AsyncGenerator<StreamPart> {
  let ready: StreamPart[] = []
  const decoder = new SseDecoder({
    onEvent: (event) => ready.push({ event }),
    onId: (id) => ready.push({ id }),
    onRetry: (retryMs) => ready.push({ retryMs }),
    ...(maxEventChars === undefined ? {} : { maxEventChars }),
  })
  if (answer.body === null) return
  try {
    for await (const chunk of answer.body) {
      decoder.feed(chunk)
      const batch = ready
      ready = []
      yield* batch
    }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof EventTooLongError) {
      throw new StreamError('event_too_large', error.message, { cause: error, retryable: false })
    }
    throw new StreamError('connection', 'The stream broke off', { cause: error, retryable: true })
  }
}
