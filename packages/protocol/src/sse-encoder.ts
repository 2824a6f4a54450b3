/** What a frame may hold. Everything is optional, but an empty frame is nothing. */
export interface FrameFields {
  /** SSE `id:`. Holds no CR, LF or NUL. */
  readonly id?: string
  /** SSE `event:`. Holds no CR, LF or NUL; a reader takes an absent one as `message`. */
  readonly event?: string
  /** SSE `data:`, split over lines at CR LF, CR and LF, which a reader joins by LF. */
  readonly data?: string
  /** SSE `retry:` in ms, a whole number: how long a reader waits before it reconnects. */
  readonly retryMs?: number
  /** A line that parsers skip. */
  readonly comment?: string
}

/** A field that would break out of its line (WHATWG HTML, "Server-sent events", parsing). */
export class FrameError extends TypeError {
  override readonly name = 'FrameError'
  readonly code = 'invalid_frame'
  readonly retryable = false
}

// CR and LF end a line; a NUL in an id makes the parser ignore it, and none belongs in a name.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these three are what must be found
const FORBIDDEN = /[\r\n\u0000]/
const LINE_BREAK = /\r\n|\r|\n/

/** Answers the value, which a frame can carry in this field. @throws FrameError on CR, LF or NUL. */
export function singleLine(field: 'id' | 'event', value: string): string {
  if (FORBIDDEN.test(value)) throw new FrameError(`SSE ${field} must not hold CR, LF or NUL`)
  return value
}

/**
 * Builds one SSE frame, ending in its blank line.
 *
 * @throws FrameError on CR, LF or NUL in `id` or `event`, or a `retryMs` that is not a whole number ≥ 0.
 */
export function encodeFrame({ id, event, data, retryMs, comment }: FrameFields): string {
  let frame = ''
  if (comment !== undefined) for (const line of comment.split(LINE_BREAK)) frame += `: ${line}\n`
  if (retryMs !== undefined) {
    if (!Number.isSafeInteger(retryMs) || retryMs < 0) throw new FrameError('SSE retry must be whole ms ≥ 0')
    frame += `retry: ${retryMs}\n`
  }
  if (id !== undefined) frame += `id: ${singleLine('id', id)}\n`
  if (event !== undefined) frame += `event: ${singleLine('event', event)}\n`
  if (data !== undefined) {
    // Almost all data is one line of JSON: look before splitting.
    if (data.includes('\n') || data.includes('\r')) {
      for (const line of data.split(LINE_BREAK)) frame += `data: ${line}\n`
    } else frame += `data: ${data}\n`
  }
  return `${frame}\n`
}
