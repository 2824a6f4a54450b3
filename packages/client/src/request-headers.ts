/** The headers of each attempt, or what makes them anew, as where a token is short-lived. */
export type RequestHeaders = HeaderFields | (() => HeaderFields | Promise<HeaderFields>)
type HeaderFields = Readonly<Record<string, string>>

const ASCII = /^[\t\x20-\x7e]*$/

/**
 * The headers of one attempt. The caller's win over `Accept`, and the cursor over the caller's; an empty cursor is
 * none. HTML, 9.2.3: a cursor goes as UTF-8.
 */
export async function requestHeaders(
  given: RequestHeaders,
  lastEventId: string | undefined,
): Promise<Record<string, string>> {
  const headers: Record<string, string> = { accept: 'text/event-stream' }
  for (const [name, value] of Object.entries(typeof given === 'function' ? await given() : given)) {
    headers[name.toLowerCase()] = value
  }
  if (lastEventId !== undefined && lastEventId !== '') headers['last-event-id'] = byteString(lastEventId)
  return headers
}

/** `fetch` takes one character for one byte, and refuses what is none. */
function byteString(text: string): string {
  return ASCII.test(text) ? text : String.fromCharCode(...new TextEncoder().encode(text))
}
