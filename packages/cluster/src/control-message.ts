/** The most that a request or an answer between nodes may have, in characters of JSON. */
const MAX_CONTROL_CHARS = 65_536

/** As JSON, or `undefined` where there is nothing. @throws RangeError where it is too long. */
export function encodeControl(value: unknown): string | undefined {
  const text: string | undefined = JSON.stringify(value)
  if (text !== undefined && text.length > MAX_CONTROL_CHARS) {
    throw new RangeError(
      `What goes from node to node may have ${MAX_CONTROL_CHARS} characters; this has ${text.length}`,
    )
  }
  return text
}
