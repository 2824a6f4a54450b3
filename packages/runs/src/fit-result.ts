import type { TaskResult } from '@tributary/protocol'

/** A result, and its JSON. */
export interface FittedResult {
  readonly result: TaskResult
  readonly json: string
}

/** A result whose JSON has no more than `maxBytes`: escapes and base64 take more than the body did. */
export function fitResult(result: TaskResult, maxBytes: number): FittedResult {
  const json = JSON.stringify(result)
  if (Buffer.byteLength(json) <= maxBytes) return { result, json }
  const text = typeof result.body === 'string' ? result.body : JSON.stringify(result.body)
  for (let length = Math.min(text.length, maxBytes); length > 0; length = Math.floor(length / 2)) {
    // base64 stays decodable when it is cut at groups of four.
    const body = text.slice(0, result.encoding === 'base64' ? length - (length % 4) : length)
    const fitted = { ...result, body, truncated: true }
    const fittedJson = JSON.stringify(fitted)
    if (Buffer.byteLength(fittedJson) <= maxBytes) return { result: fitted, json: fittedJson }
  }
  const empty = { status: result.status, headers: {}, body: null, truncated: true }
  return { result: empty, json: JSON.stringify(empty) }
}
