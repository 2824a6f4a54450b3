import { describe, expect, it } from 'vitest'
import { Batch } from './batch.ts'
import { Frame } from './frame.ts'

const texts = ['data: a\n\n', `data: ${'é'.repeat(5_000)}\n\n`, 'data: c\n\n']
const frames = texts.map((text) => new Frame(text))

function batchOf(all: readonly Frame[]): Batch {
  return all.reduce((batch, frame) => batch.with(frame), new Batch())
}

describe('Batch', () => {
  it('goes out as one chunk, however many frames it has', () => {
    const { whole, size, byteLength } = batchOf(frames)
    const text = texts.join('')
    expect(Buffer.from(whole.bytes).toString()).toBe(text)
    expect(Buffer.from(whole.chunk).toString()).toBe(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`)
    expect({ size, byteLength }).toEqual({ size: 3, byteLength: Buffer.byteLength(text) })
  })

  it('is put together once for all who gather the same frames', () => {
    const empty = new Batch()
    const [first, second] = [1, 2].map(() => frames.reduce((batch, frame) => batch.with(frame), empty))
    expect(first).toBe(second)
    expect(first?.whole).toBe(second?.whole)
  })

  it('is the frame itself where there is but one', () => {
    const frame = new Frame('data: alone\n\n')
    expect(batchOf([frame]).whole).toBe(frame)
  })
})
