import { CLOSED_MARK, type Cursor, ProblemError, parseCursor } from '@tributary/protocol'

/**
 * The cursor that a caller passes on. Also one of a stream that was ended for good: whoever passes it on has decided
 * to let its reader in.
 *
 * @throws ProblemError `invalid_cursor` where it is none of a hub.
 */
export function cursorOption(lastEventId: string | undefined): { cursor?: Cursor; cursorText?: string } {
  if (lastEventId === undefined) return {}
  const cursorText = lastEventId.endsWith(CLOSED_MARK)
    ? lastEventId.slice(0, -CLOSED_MARK.length)
    : lastEventId
  const cursor = parseCursor(cursorText)
  if (cursor === undefined || (cursor.kind === 'event' && cursor.runId !== undefined)) {
    throw new ProblemError(
      'invalid_cursor',
      'lastEventId must be the id of an event of a hub, or milliseconds since 1970',
    )
  }
  return { cursor, cursorText }
}
