import type { FastifyReply } from 'fastify'
import { type RequestCursor, requestCursor } from './request-cursor.ts'

/** The cursors that a query may hold. */
export interface CursorQuery {
  readonly lastEventId?: string | undefined
  readonly since?: string | undefined
}

/** The cursor that a request came with. @throws ProblemError `invalid_cursor`. */
export function replyCursor(
  reply: FastifyReply,
  { lastEventId, since }: CursorQuery,
): RequestCursor | undefined {
  return requestCursor({ lastEventIdHeader: reply.request.headers['last-event-id'], lastEventId, since })
}
