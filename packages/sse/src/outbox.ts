import type { Frame } from './frame.ts'

/** Places that were left empty are done away with from this many on. */
const MIN_EMPTY = 64

/** The frames that wait for a reader, in order. Whoever adds to it sees to its bounds. */
export class Outbox {
  #frames: (Frame | undefined)[] = []
  // Where the latest frame of a key is, for those that have one.
  #places = new Map<string, number>()
  #size = 0
  #byteLength = 0

  /** How many frames. */
  get size(): number {
    return this.#size
  }

  get byteLength(): number {
    return this.#byteLength
  }

  /** The bytes of the frame of a key; `undefined` where none waits. */
  bytesOf(key: string): number | undefined {
    return this.#frameOf(key)?.byteLength
  }

  /** Adds a frame at the end. Of those with the same key only the latest stays. Answers whether one was there. */
  add(frame: Frame, key?: string): boolean {
    const isReplacing = key !== undefined && this.#remove(key)
    if (key !== undefined) this.#places.set(key, this.#frames.length)
    this.#frames.push(frame)
    this.#size += 1
    this.#byteLength += frame.byteLength
    if (this.#frames.length > 2 * this.#size + MIN_EMPTY) this.#compact()
    return isReplacing
  }

  /** Takes the first ones. Default: all, which leaves it empty. */
  take(max = this.#size): Frame[] {
    if (max < this.#size) return this.#takeFirst(max)
    const frames = this.#frames.filter((frame) => frame !== undefined)
    this.#frames = []
    this.#places.clear()
    this.#size = 0
    this.#byteLength = 0
    return frames
  }

  #takeFirst(count: number): Frame[] {
    const taken: Frame[] = []
    let end = 0
    for (; taken.length < count; end += 1) {
      const frame = this.#frames[end]
      if (frame === undefined) continue
      taken.push(frame)
      this.#byteLength -= frame.byteLength
    }
    this.#size -= count
    this.#frames = this.#frames.slice(end)
    const later = [...this.#places].filter(([, place]) => place >= end)
    this.#places = new Map(later.map(([key, place]) => [key, place - end]))
    return taken
  }

  #frameOf(key: string): Frame | undefined {
    const place = this.#places.get(key)
    return place === undefined ? undefined : this.#frames[place]
  }

  #remove(key: string): boolean {
    const frame = this.#frameOf(key)
    const place = this.#places.get(key)
    if (frame === undefined || place === undefined) return false
    this.#frames[place] = undefined
    this.#size -= 1
    this.#byteLength -= frame.byteLength
    return true
  }

  #compact(): void {
    const keys = new Map([...this.#places].map(([key, place]) => [place, key]))
    const frames: Frame[] = []
    for (const [place, frame] of this.#frames.entries()) {
      if (frame === undefined) continue
      const key = keys.get(place)
      if (key !== undefined) this.#places.set(key, frames.length)
      frames.push(frame)
    }
    this.#frames = frames
  }
}
