import type { TaskResult } from '@tributary/protocol'

/** An answer of an external API, read. */
export interface ReadAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  /** Whether the body went on beyond what was read. */
  readonly truncated: boolean
}

/** A body that claims to be JSON and is not. */
class InvalidJsonError extends Error {
  override readonly name = 'InvalidJsonError'
  readonly code = 'invalid_json'
  readonly retryable = false
}

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\b/i
const TEXT_TYPE = /^(?:text\/|application\/(?:[\w.+-]+\+)?(?:xml|javascript|x-www-form-urlencoded|yaml)\b)/i

/** Whether a `Content-Type` says JSON. */
export function isJson(contentType: string | string[] | undefined): boolean {
  return JSON_TYPE.test(String(contentType ?? ''))
}

/**
 * What an event says of an answer: its body parsed where it is JSON, as text where it is text, as base64
 * otherwise and where it is compressed; cut at `maxResultBytes`, where JSON becomes a string.
 *
 * @throws InvalidJsonError
 */
export function taskResult(
  { status, headers, body, truncated }: ReadAnswer,
  maxResultBytes: number,
): TaskResult {
  const cut = body.byteLength > maxResultBytes
  const kept = cut ? body.subarray(0, maxResultBytes) : body
  const base = { status, headers: { ...headers } }
  // Nobody asked for it compressed, but for the task itself: it gets what came.
  if (isEncoded(headers))
    return { ...base, body: base64(kept), encoding: 'base64', truncated: cut || truncated }
  if (isJson(headers['content-type'])) {
    if (body.byteLength === 0) return { ...base, body: null, truncated: false }
    const parsed = parse(body)
    return cut
      ? { ...base, body: decode(kept, true), truncated: true }
      : { ...base, body: parsed, truncated: false }
  }
  if (body.byteLength === 0 || TEXT_TYPE.test(headers['content-type'] ?? '')) {
    return { ...base, body: decode(kept, cut || truncated), truncated: cut || truncated }
  }
  return { ...base, body: base64(kept), encoding: 'base64', truncated: cut || truncated }
}

function isEncoded({ 'content-encoding': encoding }: Readonly<Record<string, string>>): boolean {
  return encoding !== undefined && encoding !== '' && encoding.toLowerCase() !== 'identity'
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(decode(body, false))
  } catch (error) {
    throw new InvalidJsonError('The answer says it is JSON, and is not', { cause: error })
  }
}

/** @param cut whether the last character may be half there; then it is left out. */
function decode(bytes: Uint8Array, cut: boolean): string {
  if (cut) return new TextDecoder().decode(bytes, { stream: true })
  // Many times faster than a decoder of its own for each small body; only the mark at the start is left in.
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
  return text.startsWith('\ufeff') ? text.slice(1) : text
}
