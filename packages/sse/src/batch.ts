import { Frame } from './frame.ts'

/**
 * Frames that go out in one write. Readers that gather the same frames share one batch and its bytes, so that a burst
 * for a thousand readers is put together once.
 */
export class Batch {
  /** How many frames. */
  readonly size: number
  /** Of the frames themselves. */
  readonly byteLength: number
  readonly #before: Batch | undefined
  readonly #frame: Frame | undefined
  // What most readers gather next: they are offered the same frames one after the other.
  #next: Batch | undefined
  #whole: Frame | undefined

  /** Without arguments: one that is empty. */
  constructor(before?: Batch, frame?: Frame) {
    this.#before = before
    this.#frame = frame
    this.size = before === undefined ? 0 : before.size + 1
    this.byteLength = (before?.byteLength ?? 0) + (frame?.byteLength ?? 0)
  }

  /** The batch that has this frame, too. */
  with(frame: Frame): Batch {
    if (this.#next === undefined || this.#next.#frame !== frame) this.#next = new Batch(this, frame)
    return this.#next
  }

  /** All of it as one piece. */
  get whole(): Frame {
    this.#whole ??= this.#joined()
    return this.#whole
  }

  #joined(): Frame {
    const frames = this.#frames()
    const [only] = frames
    return only !== undefined && frames.length === 1 ? only : new Frame(frames)
  }

  #frames(): Frame[] {
    const frames: Frame[] = []
    for (let batch: Batch | undefined = this; batch !== undefined; batch = batch.#before) {
      if (batch.#frame !== undefined) frames.push(batch.#frame)
    }
    return frames.reverse()
  }
}
