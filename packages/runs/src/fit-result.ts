import type { TaskResult } from '@tributary/protocol'
import { fitText } from './fit-text.ts'

/** A result, and its JSON. */
export interface FittedResult {
  readonly result: TaskResult
  readonly json: string
}

/**
 * A result whose JSON has no more than `maxBytes`. The body is cut to what fits: JSON becomes text, base64 stays
 * decodable. Where the headers alone are too large they are left out. Less than an empty result it never is.
 */
export function fitResult(result: TaskResult, maxBytes: number): FittedResult {
  const json = JSON.stringify(result)
  if (Buffer.byteLength(json) <= maxBytes) return { result, json }
  const { body } = result
  const text = typeof body === 'string' ? body : (JSON.stringify(body) ?? '')
  return (
    cutBody(result, text, maxBytes) ?? cutBody({ ...result, headers: {} }, text, maxBytes) ?? empty(result)
  )
}

/** `undefined` where there is no room for any body beside the rest. */
function cutBody(result: TaskResult, text: string, maxBytes: number): FittedResult | undefined {
  const emptied = JSON.stringify({ ...result, body: '', truncated: true })
  const room = maxBytes - Buffer.byteLength(emptied) + '""'.length
  if (room < '""'.length) return undefined
  const fitting = fitText(text, room)
  const body = result.encoding === 'base64' ? wholeGroups(fitting) : fitting
  const cut = { ...result, body, truncated: true }
  return { result: cut, json: JSON.stringify(cut) }
}

/** base64 stands for three bytes in groups of four. */
function wholeGroups(base64: string): string {
  return base64.slice(0, base64.length - (base64.length % 4))
}

function empty({ status }: TaskResult): FittedResult {
  const result = { status, headers: {}, body: null, truncated: true }
  return { result, json: JSON.stringify(result) }
}
