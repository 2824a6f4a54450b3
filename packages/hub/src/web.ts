import { PROBLEM_CONTENT_TYPE, ProblemError } from '@tributary/protocol'
import {
  busyOf,
  busyStream,
  type RequestCursor,
  requestCursor,
  type StreamHeaders,
  sseHeaders,
  WebSink,
} from '@tributary/sse'
import type { ConnectOptions } from './connection.ts'
import type { Hub } from './hub.ts'
import type { PollOptions } from './hub-polls.ts'

/**
 * Opens a connection for a Web `Request`, as route handlers of Next.js, Hono and others get one, and answers
 * the `Response` to return: the stream, or the problem (RFC 9457) where the hub refuses it. The cursor is
 * taken from the request where the options name none. Who comes back by itself after its stream was ended for good
 * gets a 204; and who comes back with a cursor to a hub that has no room for it now, a stream that tells it to come
 * again.
 *
 * @param headers default: the plain headers of a stream.
 */
export async function respondWithStream(
  hub: Hub,
  request: Request,
  options: ConnectOptions,
  headers: StreamHeaders = sseHeaders().build(),
): Promise<Response> {
  let cursorText = options.lastEventId
  try {
    const presented = cursorText === undefined ? cursorOf(request) : undefined
    if (presented?.isClosed) return new Response(null, { status: 204 })
    if (request.method === 'HEAD') return new Response(null, { headers })
    cursorText ??= presented?.text
    const opened = Promise.withResolvers<Response>()
    const cursor = cursorText === undefined ? {} : { lastEventId: cursorText }
    await hub.connect({ ...options, ...cursor }, () => {
      const sink = new WebSink(headers, request.signal)
      opened.resolve(sink.response)
      return sink
    })
    return await opened.promise
  } catch (error) {
    const busy = cursorText === undefined ? undefined : busyOf(error)
    if (busy !== undefined && cursorText !== undefined) {
      return new Response(busyStream({ ...busy, cursorText }), { headers })
    }
    return refusalOf(error)
  }
}

/** Answers a Web `Request` with a page of the hub's log, as JSON. The cursor is taken as that of a stream. */
export async function respondWithPage(hub: Hub, request: Request, options: PollOptions): Promise<Response> {
  try {
    const lastEventId = options.lastEventId ?? cursorOf(request)?.text
    const page = await hub.poll({
      signal: request.signal,
      ...options,
      ...(lastEventId === undefined ? {} : { lastEventId }),
    })
    const headers = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' }
    return new Response(page.json, { headers })
  } catch (error) {
    return refusalOf(error)
  }
}

/** The `Response` for what the hub refuses, as an event that is too large; `undefined` for any other error. */
export function problemResponse(error: unknown): Response | undefined {
  if (!(error instanceof ProblemError)) return undefined
  return new Response(JSON.stringify(error.toProblem()), {
    status: error.statusCode,
    headers: {
      ...error.headers,
      'content-type': PROBLEM_CONTENT_TYPE,
      ...(error.retryAfterS === undefined ? {} : { 'retry-after': String(error.retryAfterS) }),
    },
  })
}

function refusalOf(error: unknown): Response {
  const refusal = problemResponse(error)
  if (refusal === undefined) throw error
  return refusal
}

function cursorOf({ headers, url }: Request): RequestCursor | undefined {
  const { searchParams } = new URL(url)
  return requestCursor({
    lastEventIdHeader: headers.get('last-event-id'),
    lastEventId: searchParams.get('lastEventId') ?? undefined,
    since: searchParams.get('since') ?? undefined,
  })
}
