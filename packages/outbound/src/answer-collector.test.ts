import type { RequestListener } from 'node:http'
import { describe, expect, it } from 'vitest'
import { type LocalServer, serveHttp, serveTcp } from '../test/local-server.ts'
import { AddressPolicy } from './address-policy.ts'
import type { BodyLimit, CollectedAnswer } from './answer-collector.ts'
import { OutboundClient } from './outbound-client.ts'

interface ReadOptions {
  readonly maxBytes: number
  readonly overflow?: BodyLimit['overflow']
  readonly onBytes?: (received: number, total: number | undefined) => void
}

async function read(
  server: LocalServer,
  { maxBytes, overflow = 'error', onBytes }: ReadOptions,
  method: 'GET' | 'HEAD' = 'GET',
): Promise<Pick<CollectedAnswer, 'bytes' | 'truncated'>> {
  await using client = new OutboundClient({ policy: new AddressPolicy({ allow: ['127.0.0.1'] }) })
  const limitOf = () => ({ maxBytes, overflow })
  const { bytes, truncated } = await client.exchange({ url: server.origin, method, limitOf, onBytes })
  return { bytes, truncated }
}

const answering =
  (text: string): RequestListener =>
  (_, answer) =>
    void answer.end(text)

/** Sends without a length and without an end. */
const endless: RequestListener = (_, answer) => {
  const more = (): void => {
    while (answer.writable && answer.write('x'.repeat(1000)));
  }
  answer.on('drain', more)
  more()
}

describe('an answer that is collected', () => {
  it('reads a whole body and reports its progress', async () => {
    await using server = await serveHttp(answering('hello'))
    const progress: (number | undefined)[][] = []
    const { bytes, truncated } = await read(server, {
      maxBytes: 5,
      onBytes: (...seen) => progress.push(seen),
    })
    expect({ text: bytes.toString(), truncated }).toEqual({ text: 'hello', truncated: false })
    expect(progress.at(-1)).toEqual([5, 5])
  })

  it('knows no total where the answer names none', async () => {
    await using server = await serveHttp((_, answer) => {
      answer.write('hel')
      answer.end('lo')
    })
    const totals = new Set<number | undefined>()
    const { bytes } = await read(server, { maxBytes: 5, onBytes: (_, total) => totals.add(total) })
    expect(bytes.toString()).toBe('hello')
    expect([...totals]).toEqual([undefined])
  })

  it('reads an empty body', async () => {
    await using server = await serveHttp(answering(''))
    expect(await read(server, { maxBytes: 0 })).toEqual({ bytes: Buffer.alloc(0), truncated: false })
  })

  it('fails past the maximum, and stops reading', async () => {
    await using server = await serveHttp(endless)
    await expect(read(server, { maxBytes: 1500 })).rejects.toMatchObject({
      code: 'body_too_large',
      retryable: false,
    })
  })

  it('cuts at the maximum, and stops reading', async () => {
    await using server = await serveHttp(endless)
    const { bytes, truncated } = await read(server, { maxBytes: 1500, overflow: 'truncate' })
    expect({ length: bytes.length, truncated }).toEqual({ length: 1500, truncated: true })
  })

  it('cuts a body of a known length without waiting for what it will not keep', async () => {
    await using server = await serveTcp((socket) =>
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello'),
    )
    const { bytes, truncated } = await read(server, { maxBytes: 5, overflow: 'truncate' })
    expect({ text: bytes.toString(), truncated }).toEqual({ text: 'hello', truncated: true })
  })

  it('does not take the length in the answer to a HEAD for a body', async () => {
    await using server = await serveHttp((_, answer) => {
      answer.setHeader('content-length', 1_000_000)
      answer.end()
    })
    expect(await read(server, { maxBytes: 10 }, 'HEAD')).toEqual({ bytes: Buffer.alloc(0), truncated: false })
  })

  it('fails with what its progress callback throws', async () => {
    await using server = await serveHttp(endless)
    const failure = new Error('enough')
    const reading = read(server, {
      maxBytes: 1e9,
      onBytes: () => {
        throw failure
      },
    })
    await expect(reading).rejects.toBe(failure)
  })

  it('keeps the order of pieces of any size', async () => {
    const pieces = Array.from({ length: 300 }, (_, at) =>
      String.fromCharCode(97 + (at % 26)).repeat((at * 997) % 9_000 || 1),
    )
    await using server = await serveHttp(async (_, answer) => {
      for (const piece of pieces) await new Promise((resolve) => answer.write(piece, resolve))
      answer.end()
    })
    const { bytes } = await read(server, { maxBytes: 1e7 })
    expect(bytes.toString() === pieces.join('')).toBe(true)
  })

  it('takes memory of about its size for a body of single bytes', async () => {
    const count = 1_000_000
    await using server = await serveTcp((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
      socket.end(`${'1\r\nx\r\n'.repeat(count)}0\r\n\r\n`)
    })
    let most = 0
    let seen = 0
    const before = process.memoryUsage().heapUsed
    const onBytes = () => {
      seen += 1
      if (seen % 100_000 === 0) most = Math.max(most, process.memoryUsage().heapUsed - before)
    }
    const { bytes } = await read(server, { maxBytes: count, onBytes })
    expect(bytes.length).toBe(count)
    expect(most).toBeLessThan(60 * count)
  })
})
