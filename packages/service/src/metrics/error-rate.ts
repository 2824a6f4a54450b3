import type { Clock } from '@tributary/protocol'

/** Over which time the rate is told. */
export const ERROR_WINDOW_MS = 60_000
/** How exact the window is. */
const SLICE_MS = 5_000
const SLICES = ERROR_WINDOW_MS / SLICE_MS

interface Slice {
  asked: number
  failed: number
}

/** What part of the requests and streams of the last minute failed. */
export class ErrorRate {
  readonly #clock: Pick<Clock, 'now'>
  readonly #slices = new Map<number, Slice>()
  #failures = 0

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** 0 to 1; 0 where nothing was asked. */
  get value(): number {
    const { asked, failed } = this.#sum()
    // A stream fails long after it was opened, so there may be more failures than beginnings.
    return asked === 0 ? Number(failed > 0) : Math.min(1, failed / asked)
  }

  /** All failures since the start, or since they were set back. */
  get failures(): number {
    return this.#failures
  }

  /** A request was answered, or a stream opened. */
  count(): void {
    this.#slice().asked += 1
  }

  /** One of them failed. */
  fail(): void {
    this.#failures += 1
    this.#slice().failed += 1
  }

  reset(): void {
    this.#failures = 0
    this.#slices.clear()
  }

  #sum(): Slice {
    const now = this.#now()
    const sum: Slice = { asked: 0, failed: 0 }
    for (const [at, { asked, failed }] of this.#slices) {
      if (at <= now - SLICES || at > now) continue
      sum.asked += asked
      sum.failed += failed
    }
    return sum
  }

  #slice(): Slice {
    const now = this.#now()
    let slice = this.#slices.get(now)
    if (slice === undefined) {
      slice = { asked: 0, failed: 0 }
      // The clock may have jumped, either way.
      for (const at of this.#slices.keys()) if (at <= now - SLICES || at > now) this.#slices.delete(at)
      this.#slices.set(now, slice)
    }
    return slice
  }

  #now(): number {
    return Math.floor(this.#clock.now() / SLICE_MS)
  }
}
