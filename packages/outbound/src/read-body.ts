import type { Readable } from 'node:stream'
import type { OutboundAnswer } from './outbound-client.ts'
import { OutboundError } from './outbound-error.ts'

export interface ReadBodyOptions {
  /** The most bytes of the body that are kept. */
  readonly maxBytes: number
  /** Past `maxBytes`: `error` fails with `body_too_large`, `truncate` keeps what fits. Default `error`. */
  readonly overflow?: 'error' | 'truncate'
  /** Called with what has come, and with the `Content-Length` where there is one. What it throws fails the read. */
  readonly onBytes?: (received: number, total: number | undefined) => void
}

export interface ReadBody {
  readonly bytes: Buffer
  /** Whether there was more than is kept. */
  readonly truncated: boolean
}

/**
 * Reads the body of an answer, as it is on the wire, in memory bounded by `maxBytes` and one chunk. A body that
 * is not read to its end is destroyed, and its connection with it.
 *
 * @throws OutboundError `body_too_large`; and what the body fails with, the reason of an abort included.
 */
export function readBody(
  answer: Pick<OutboundAnswer, 'headers' | 'body'>,
  options: ReadBodyOptions,
): Promise<ReadBody> {
  const { maxBytes, overflow = 'error', onBytes } = options
  const { body } = answer
  const total = contentLength(answer.headers['content-length'])
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let received = 0

    const stop = (): void => {
      body.off('data', onData)
      body.destroy()
    }
    const onData = (chunk: Buffer): void => {
      received += chunk.length
      try {
        onBytes?.(received, total)
      } catch (error) {
        stop()
        reject(error)
        return
      }
      // A length alone is no overflow: the answer to a HEAD names one and has no body.
      const over = received > maxBytes || (total !== undefined && total > maxBytes)
      if (over && overflow === 'error') {
        stop()
        reject(new OutboundError('body_too_large', 'Body too large'))
      } else if (over && received >= maxBytes) {
        chunks.push(chunk.subarray(0, chunk.length - (received - maxBytes)))
        stop()
        resolve({ bytes: Buffer.concat(chunks), truncated: true })
      } else {
        chunks.push(chunk)
      }
    }

    body.on('data', onData)
    body.on('end', () => resolve({ bytes: join(chunks), truncated: false }))
    body.on('error', reject)
    // Destroyed by someone else, it may come to neither end nor error.
    if (body.closed) reject(closedEarly(body))
    else body.on('close', () => body.readableEnded || reject(closedEarly(body)))
  })
}

function closedEarly(body: Readable): Error {
  return body.errored ?? new OutboundError('cancelled', 'Cancelled')
}

function join(chunks: readonly Buffer[]): Buffer {
  const [only] = chunks
  // Most answers are one chunk, which needs no copy.
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks)
}

function contentLength(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : undefined
}
