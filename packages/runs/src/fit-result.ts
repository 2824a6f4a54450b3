import type { TaskResult } from '@tributary/protocol'

/** A result that makes its event no larger than `maxBytes`: escapes and base64 take more than the body did. */
export function fitResult(result: TaskResult, maxBytes: number): TaskResult {
  if (Buffer.byteLength(JSON.stringify(result)) <= maxBytes) return result
  const text = typeof result.body === 'string' ? result.body : JSON.stringify(result.body)
  for (let length = Math.min(text.length, maxBytes); length > 0; length = Math.floor(length / 2)) {
    // base64 stays decodable when it is cut at groups of four.
    const body = text.slice(0, result.encoding === 'base64' ? length - (length % 4) : length)
    const fitted = { ...result, body, truncated: true }
    if (Buffer.byteLength(JSON.stringify(fitted)) <= maxBytes) return fitted
  }
  return { status: result.status, headers: {}, body: null, truncated: true }
}
