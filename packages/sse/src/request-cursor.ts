import { CLOSED_MARK, type Cursor, ProblemError, parseCursor } from '@tributary/protocol'

/** A cursor, and the text it came as. */
export interface RequestCursor {
  readonly cursor: Cursor
  readonly text: string
  /**
   * Whether a reader comes back by itself after its stream was ended for good. It is answered 204, on which an
   * EventSource stops.
   */
  readonly isClosed: boolean
}

/** Where a request may carry its cursor. The header wins: a browser sets it when it reconnects by itself. */
export interface CursorCarriers {
  readonly lastEventIdHeader?: string | readonly string[] | null | undefined
  readonly lastEventId?: string | undefined
  readonly since?: string | undefined
}

/** The cursor of a request, if it has one. @throws ProblemError `invalid_cursor` where it is none of ours. */
export function requestCursor({
  lastEventIdHeader,
  lastEventId,
  since,
}: CursorCarriers): RequestCursor | undefined {
  const header = Array.isArray(lastEventIdHeader) ? lastEventIdHeader[0] : lastEventIdHeader
  const said = [header, lastEventId, since].find((value) => typeof value === 'string' && value !== '')
  if (typeof said !== 'string') return undefined
  const isMarked = said.endsWith(CLOSED_MARK)
  const text = isMarked ? said.slice(0, -CLOSED_MARK.length) : said
  const cursor = parseCursor(text)
  if (cursor === undefined) {
    throw new ProblemError(
      'invalid_cursor',
      `${JSON.stringify(said.slice(0, 80))} is no event id; send one that a stream carried, or milliseconds since 1970`,
    )
  }
  // In the address somebody put it there on purpose, who wants to go on after all.
  return { cursor, text, isClosed: isMarked && said === header }
}
