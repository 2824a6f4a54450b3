import { describe, expect, it } from 'vitest'
import { logEntry } from './log-entry.ts'
import { RecentFrames } from './recent-frames.ts'

function filled(count: number) {
  const frames = new RecentFrames()
  const entries = Array.from({ length: count }, (_, i) => {
    const entry = logEntry({ type: 't', data: i, source: 's' }, undefined, { ms: i, n: i + 1 }, `${i}`)
    entry.frames = [new Uint8Array(1)]
    frames.add(entry)
    return entry
  })
  return { frames, withFrames: () => entries.filter((entry) => entry.frames !== undefined).length }
}

describe('RecentFrames', () => {
  it('keeps the frames of the newest entries', () => {
    const { frames, withFrames } = filled(1_000)
    expect([frames.size, withFrames()]).toEqual([256, 256])
  })

  it('holds no entry that was evicted before it was old', () => {
    const { frames, withFrames } = filled(100)
    frames.evictUpTo(90)
    expect([frames.size, withFrames()]).toEqual([10, 10])
    frames.clear()
    expect([frames.size, withFrames()]).toEqual([0, 0])
  })
})
