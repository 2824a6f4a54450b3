import { HTTP_METHODS, type HttpMethod } from '@tributary/protocol'
import type { BodyLimit } from './answer-collector.ts'
import type { OutboundClient } from './outbound-client.ts'
import { OutboundError } from './outbound-error.ts'

/** The most of an answer that is read whole, in bytes, and the default. */
export const MAX_WHOLE_BODY_BYTES = 10_485_760

export interface WholeRequest {
  readonly url: string
  /** Default GET. */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Default and most `MAX_WHOLE_BODY_BYTES`. */
  readonly maxBytes?: number
  readonly timeoutMs?: number
}

/** An answer whose body has been read. The bytes are the receiver's own. */
export interface WholeAnswer {
  readonly status: number
  /** Names in lower case; several values of one are joined by a comma. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** Sends a request and reads its answer to the end. @throws OutboundError, and what the client throws. */
export async function requestWhole(
  client: OutboundClient,
  request: WholeRequest,
  signal: AbortSignal,
): Promise<WholeAnswer> {
  const { method = 'GET', maxBytes = MAX_WHOLE_BODY_BYTES, ...rest } = request
  if (!isHttpMethod(method)) {
    throw new OutboundError('task_failed', `The method must be one of ${HTTP_METHODS.join(', ')}`)
  }
  const limit: BodyLimit = { maxBytes: Math.min(maxBytes, MAX_WHOLE_BODY_BYTES), overflow: 'error' }
  const { status, headers, bytes } = await client.exchange({ ...rest, method, signal, limitOf: () => limit })
  return { status, headers: flattenHeaders(headers), body: new Uint8Array(bytes) }
}

function isHttpMethod(method: string): method is HttpMethod {
  return (HTTP_METHODS as readonly string[]).includes(method)
}

/** Headers as one text each; several values of one are joined by a comma (RFC 9110, 5.3). */
export function flattenHeaders(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
): Record<string, string> {
  const flat: Record<string, string> = {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined) flat[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return flat
}
