import type { Frame } from './frame.ts'
import type { SinkOwner, StreamSink } from './stream-sink.ts'

/** How long a window is, in ms. */
const WINDOW_MS = 1_000

export interface PacedSinkOptions {
  /** Frames that are let through in a second. */
  readonly framesPerS: number
  readonly elapsedMs: () => number
  /** Calls back once after a while; the answer cancels it. */
  readonly after: (delayMs: number, callback: () => void) => () => void
}

/**
 * A sink that takes so many frames in a second, and counts as busy until the next. So what comes faster waits where it
 * would wait for a slow peer, within the same bounds.
 */
export class PacedSink implements StreamSink, SinkOwner {
  readonly #sink: StreamSink
  readonly #options: PacedSinkOptions
  #owner: SinkOwner | undefined
  #windowEndsAtMs = Number.NEGATIVE_INFINITY
  #left = 0
  // There while nothing is left.
  #cancelWake: (() => void) | undefined

  constructor(sink: StreamSink, options: PacedSinkOptions) {
    this.#sink = sink
    this.#options = options
    this.#left = options.framesPerS
  }

  get room(): number {
    return this.#left
  }

  get busy(): boolean {
    return this.#left === 0 || this.#sink.busy
  }

  get pendingBytes(): number {
    return this.#sink.pendingBytes
  }

  get closed(): boolean {
    return this.#sink.closed
  }

  get lost(): boolean {
    return this.#sink.lost ?? this.#sink.closed
  }

  attach(owner: SinkOwner): void {
    this.#owner = owner
    this.#sink.attach(this)
  }

  write(frame: Frame): void {
    const { framesPerS, elapsedMs, after } = this.#options
    const nowMs = elapsedMs()
    if (this.#left > 0 && nowMs >= this.#windowEndsAtMs) {
      this.#left = framesPerS
      this.#windowEndsAtMs = nowMs + WINDOW_MS
    }
    this.#sink.write(frame)
    // What ends a stream comes when nothing is left, too.
    if (this.#left === 0) return
    this.#left -= 1
    if (this.#left === 0) this.#cancelWake = after(this.#windowEndsAtMs - nowMs, () => this.#wake())
  }

  flush(): void {
    this.#sink.flush()
  }

  end(): void {
    this.#cancelWake?.()
    this.#sink.end()
  }

  onSinkDrained(): void {
    if (this.#left > 0) this.#owner?.onSinkDrained()
  }

  onSinkClosed(): void {
    this.#cancelWake?.()
    this.#owner?.onSinkClosed()
  }

  #wake(): void {
    this.#cancelWake = undefined
    this.#left = this.#options.framesPerS
    if (!this.#sink.busy) this.#owner?.onSinkDrained()
  }
}
