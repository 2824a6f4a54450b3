import type { FastifyReply } from 'fastify'
import { type BusyOptions, busyOf, busyStream } from './busy.ts'
import { type StreamHeaders, sseHeaders } from './header-builder.ts'
import { type CursorQuery, replyCursor } from './reply-cursor.ts'

/** Answers a reader that is to come back soon, with its cursor as it is: a stream of `retry:` and `disconnected`. */
export function replyBusy(
  reply: FastifyReply,
  options: BusyOptions,
  headers: StreamHeaders = sseHeaders().build(),
): void {
  reply.code(200).headers(headers).send(busyStream(options))
}

export interface RefuseStreamOptions {
  /** Default: the plain headers of a stream. */
  readonly headers?: StreamHeaders
  readonly random?: () => number
}

/**
 * Answers a request for a stream that was refused, by us or by a plugin. Where that will pass (a 429 or 503) and the reader comes
 * back with a cursor, it gets a stream that tells it to come back once more; to a new one it is the problem.
 *
 * @throws whatever `error` is, where it is to be answered as such; ProblemError `invalid_cursor`.
 */
export function refuseStream(
  reply: FastifyReply,
  error: unknown,
  query: CursorQuery,
  { headers, random }: RefuseStreamOptions = {},
): void {
  const busy = busyOf(error, reply.getHeader('retry-after'))
  const presented = busy === undefined ? undefined : replyCursor(reply, query)
  if (busy === undefined || presented === undefined) throw error
  if (presented.isClosed) reply.code(204).send()
  else {
    const options = { ...busy, cursorText: presented.text, ...(random === undefined ? {} : { random }) }
    replyBusy(reply, options, headers)
  }
}
