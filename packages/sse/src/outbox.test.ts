import { describe, expect, it } from 'vitest'
import { Frame } from './frame.ts'
import { Outbox } from './outbox.ts'

const frame = (text: string) => new Frame(text)

describe('Outbox', () => {
  it('gives its frames in the order in which they came, and is empty then', () => {
    const outbox = new Outbox()
    const frames = ['a', 'bb', 'ccc'].map(frame)
    for (const each of frames) expect(outbox.add(each)).toBe(false)
    expect([outbox.size, outbox.byteLength]).toEqual([3, 6])
    expect(outbox.take()).toEqual(frames)
    expect([outbox.size, outbox.byteLength, outbox.take()]).toEqual([0, 0, []])
  })

  it('keeps the latest frame of a key alone, at the end', () => {
    const outbox = new Outbox()
    const [old, other, between, latest] = ['old', 'other', 'between', 'the latest'].map(frame)
    if (!old || !other || !between || !latest) throw new Error('no frames')
    outbox.add(old, 'key')
    outbox.add(other, 'another')
    outbox.add(between)
    expect(outbox.bytesOf('key')).toBe(3)
    expect(outbox.add(latest, 'key')).toBe(true)
    expect([outbox.bytesOf('key'), outbox.bytesOf('none')]).toEqual([10, undefined])
    expect([outbox.size, outbox.byteLength]).toEqual([3, 22])
    expect(outbox.take()).toEqual([other, between, latest])
    expect(outbox.bytesOf('key')).toBeUndefined()
  })

  it('gives the first ones, and keeps the others and their keys in their places', () => {
    const outbox = new Outbox()
    for (const [text, key] of [['a'], ['old', 'key'], ['bb', 'other'], ['latest', 'key'], ['c']] as const) {
      outbox.add(frame(text), key)
    }
    const texts = (frames: readonly Frame[]) => frames.map(({ bytes }) => Buffer.from(bytes).toString())
    expect(texts(outbox.take(2))).toEqual(['a', 'bb'])
    expect([outbox.size, outbox.byteLength, outbox.bytesOf('other')]).toEqual([2, 7, undefined])
    expect(outbox.add(frame('newest'), 'key')).toBe(true)
    expect(texts(outbox.take(1))).toEqual(['c'])
    expect(texts(outbox.take(5))).toEqual(['newest'])
    expect([outbox.size, outbox.byteLength]).toEqual([0, 0])
  })

  it('keeps order and place over a thousand replacements', () => {
    const outbox = new Outbox()
    const first = frame('first')
    outbox.add(first)
    let latest: Frame[] = []
    for (let n = 0; n < 1_000; n++) {
      const pair = [frame(`a${n}`), frame(`b${n}`)]
      for (const [at, each] of pair.entries()) outbox.add(each, `key ${at}`)
      latest = pair
      expect(outbox.size).toBe(3)
    }
    expect(outbox.byteLength).toBe('first'.length + 'a999'.length + 'b999'.length)
    expect(outbox.take()).toEqual([first, ...latest])
  })
})
