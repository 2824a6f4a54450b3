import { PROBLEM_CONTENT_TYPE, ProblemError } from '@tributary/protocol'
import { requestCursor, type StreamHeaders, sseHeaders, WebSink } from '@tributary/sse'
import type { ConnectOptions } from './connection.ts'
import type { Hub } from './hub.ts'

/**
 * Opens a connection for a Web `Request`, as route handlers of Next.js, Hono and others get one, and answers
 * the `Response` to return: the stream, or the problem (RFC 9457) where the hub refuses it. The cursor is
 * taken from the request where the options name none.
 *
 * @param headers default: the plain headers of a stream.
 */
export async function respondWithStream(
  hub: Hub,
  request: Request,
  options: ConnectOptions,
  headers: StreamHeaders = sseHeaders().build(),
): Promise<Response> {
  if (request.method === 'HEAD') return new Response(null, { headers })
  const opened = Promise.withResolvers<Response>()
  try {
    await hub.connect({ ...cursorOf(request), ...options }, () => {
      const sink = new WebSink(headers, request.signal)
      opened.resolve(sink.response)
      return sink
    })
    return await opened.promise
  } catch (error) {
    const refusal = problemResponse(error)
    if (refusal === undefined) throw error
    return refusal
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

function cursorOf({ headers, url }: Request): { lastEventId?: string } {
  const { searchParams } = new URL(url)
  const presented = requestCursor({
    lastEventIdHeader: headers.get('last-event-id'),
    lastEventId: searchParams.get('lastEventId') ?? undefined,
    since: searchParams.get('since') ?? undefined,
  })
  return presented === undefined ? {} : { lastEventId: presented.text }
}
