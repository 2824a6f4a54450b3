import type { FastifyReply, FastifyRequest } from 'fastify'
import { type RequestCursor, requestCursor } from './request-cursor.ts'

/** The cursors that a query may hold. */
export interface CursorQuery {
  readonly lastEventId?: string | undefined
  readonly since?: string | undefined
}

/** The same of a request that no schema has looked at yet. */
export function cursorQueryOf({ query }: Pick<FastifyRequest, 'query'>): CursorQuery {
  if (typeof query !== 'object' || query === null) return {}
  const textOf = (name: string) => {
    const value: unknown = Reflect.get(query, name)
    return typeof value === 'string' ? value : undefined
  }
  return { lastEventId: textOf('lastEventId'), since: textOf('since') }
}

/** The cursor that a request came with. @throws ProblemError `invalid_cursor`. */
export function replyCursor(
  reply: FastifyReply,
  { lastEventId, since }: CursorQuery,
): RequestCursor | undefined {
  return requestCursor({ lastEventIdHeader: reply.request.headers['last-event-id'], lastEventId, since })
}
