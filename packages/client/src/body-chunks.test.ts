import { describe, expect, it } from 'vitest'
import { bodyChunks } from './body-chunks.ts'

/** As in a browser whose streams cannot be iterated over. */
const readerOnly = (stream: ReadableStream<Uint8Array>) => ({ getReader: () => stream.getReader() })

const chunk = (n: number) => Uint8Array.of(n)

describe('bodyChunks of a body that has a reader only', () => {
  it('hands out its chunks in order, and ends', async () => {
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(chunk(1))
        controller.enqueue(chunk(2))
        controller.close()
      },
    })
    const chunks: Uint8Array[] = []
    for await (const bytes of bodyChunks(readerOnly(stream))) chunks.push(bytes)
    expect(chunks).toEqual([chunk(1), chunk(2)])
  })

  it('lets go of it when nobody reads on', async () => {
    const cancelled = Promise.withResolvers<void>()
    const stream = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(chunk(1)),
      cancel: () => cancelled.resolve(),
    })
    for await (const _ of bodyChunks(readerOnly(stream))) break
    await cancelled.promise
  })

  it('throws what breaks it', async () => {
    const reason = new Error('reset')
    const stream = new ReadableStream<Uint8Array>({ start: (controller) => controller.error(reason) })
    const read = async () => {
      for await (const _ of bodyChunks(readerOnly(stream))) expect.unreachable()
    }
    await expect(read()).rejects.toBe(reason)
  })
})
