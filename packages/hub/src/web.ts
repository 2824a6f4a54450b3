import { requestCursor, type StreamHeaders, sseHeaders, WebSink } from '@tributary/sse'
import type { ConnectOptions } from './connection.ts'
import type { Hub } from './hub.ts'

/**
 * Opens a connection for a Web `Request`, as route handlers of Next.js, Hono and others get one, and answers
 * the `Response` to return. The cursor is taken from the request where the options name none.
 *
 * @param headers default: the plain headers of a stream.
 * @throws ProblemError as `Hub.connect`.
 */
export async function respondWithStream(
  hub: Hub,
  request: Request,
  options: ConnectOptions,
  headers: StreamHeaders = sseHeaders().build(),
): Promise<Response> {
  if (request.method === 'HEAD') return new Response(null, { headers })
  const { searchParams } = new URL(request.url)
  const presented = requestCursor({
    lastEventIdHeader: request.headers.get('last-event-id'),
    lastEventId: searchParams.get('lastEventId') ?? undefined,
    since: searchParams.get('since') ?? undefined,
  })
  const sink = new WebSink(headers, request.signal)
  await hub.connect(
    { ...(presented === undefined ? {} : { lastEventId: presented.text }), ...options },
    () => sink,
  )
  return sink.response
}
