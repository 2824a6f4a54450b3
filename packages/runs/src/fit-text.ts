/** Told at the end of a text for people that was cut. */
const ELLIPSIS = '…'

/**
 * The longest beginning of a text whose JSON, quotes included, has no more than `maxBytes` bytes. A character
 * is never cut in two.
 */
export function fitText(text: string, maxBytes: number): string {
  let left = maxBytes - 2
  let end = 0
  while (end < text.length) {
    // A pair of surrogates is one character of the text, and two of the string.
    const code = text.codePointAt(end) ?? 0
    left -= jsonBytesOf(code)
    if (left < 0) break
    end += code > 0xffff ? 2 : 1
  }
  return end === text.length ? text : text.slice(0, end)
}

/** The same for a message: where it is cut, that shows. */
export function fitMessage(message: string, maxBytes: number): string {
  const whole = fitText(message, maxBytes)
  if (whole.length === message.length) return message
  return `${fitText(message, maxBytes - Buffer.byteLength(ELLIPSIS))}${ELLIPSIS}`
}

/** What a character takes in the string that `JSON.stringify` writes, in UTF-8. */
function jsonBytesOf(code: number): number {
  if (code === 0x22 || code === 0x5c) return 2
  if (code < 0x20) return SHORT_ESCAPES.has(code) ? 2 : 6
  if (code < 0x80) return 1
  if (code < 0x800) return 2
  // Half of a pair on its own is escaped.
  if (code >= 0xd800 && code <= 0xdfff) return 6
  return code > 0xffff ? 4 : 3
}

/** `\b \t \n \f \r` */
const SHORT_ESCAPES: ReadonlySet<number> = new Set([8, 9, 10, 12, 13])
