import type { Clock } from '@tributary/protocol'

/** How exact the wheel is. Streams need no better, and ten thousand of them share its one timer. */
export const DEFAULT_TICK_MS = 50

/** Many timeouts on one timer. It counts its own ticks, so a clock that jumps ends no stream. */
export class TimerWheel {
  readonly #clock: Clock
  readonly #tickMs: number
  readonly #buckets = new Map<number, Set<() => void>>()
  #tick = 0
  #stopTicking: (() => void) | undefined

  /** @param tickMs default `DEFAULT_TICK_MS`. */
  constructor(clock: Clock, tickMs = DEFAULT_TICK_MS) {
    this.#clock = clock
    this.#tickMs = tickMs
  }

  /** Calls back once, not before `delayMs` and at most two ticks later; the answer cancels it. */
  schedule(delayMs: number, callback: () => void): () => void {
    this.#stopTicking ??= this.#clock.every(this.#tickMs, () => this.#onTick())
    // One tick more, because the current one has partly gone by.
    const tick = this.#tick + Math.ceil(delayMs / this.#tickMs) + 1
    let bucket = this.#buckets.get(tick)
    if (bucket === undefined) {
      bucket = new Set()
      this.#buckets.set(tick, bucket)
    }
    const scheduled = () => callback()
    bucket.add(scheduled)
    return () => {
      const held = this.#buckets.get(tick)
      if (held?.delete(scheduled) && held.size === 0) this.#buckets.delete(tick)
      this.#stopWhenIdle()
    }
  }

  #onTick(): void {
    this.#tick += 1
    const due = this.#buckets.get(this.#tick)
    if (due === undefined) return
    for (const callback of due) {
      due.delete(callback)
      callback()
    }
    this.#buckets.delete(this.#tick)
    this.#stopWhenIdle()
  }

  #stopWhenIdle(): void {
    if (this.#buckets.size > 0) return
    this.#stopTicking?.()
    this.#stopTicking = undefined
  }
}
