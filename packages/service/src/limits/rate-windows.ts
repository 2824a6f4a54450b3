import type { Clock } from '@tributary/protocol'
import { LRUCache } from 'lru-cache'

/** Keys that are counted at a time. Beyond it the one that was quiet for longest is forgotten, and begins anew. */
const DEFAULT_MAX_KEYS = 10_000

/** How many there are of a key in its window, and how long that still is, in ms. */
export interface RateCount {
  readonly current: number
  readonly ttl: number
}

interface Window {
  count: number
  readonly endsAtMs: number
}

export interface RateWindowsOptions {
  readonly clock: Pick<Clock, 'elapsed'>
  /** Default 10,000. */
  readonly maxKeys?: number
}

/** Counts in the memory of this process, in windows that begin with the first request of each key. */
export class RateWindows {
  readonly #clock: Pick<Clock, 'elapsed'>
  readonly #windows: LRUCache<string, Window>

  constructor({ clock, maxKeys = DEFAULT_MAX_KEYS }: RateWindowsOptions) {
    this.#clock = clock
    this.#windows = new LRUCache({ max: maxKeys })
  }

  count(key: string, windowMs: number): RateCount {
    const nowMs = this.#clock.elapsed()
    let window = this.#windows.get(key)
    if (window === undefined || window.endsAtMs <= nowMs) {
      window = { count: 0, endsAtMs: nowMs + windowMs }
      this.#windows.set(key, window)
    }
    window.count += 1
    return { current: window.count, ttl: window.endsAtMs - nowMs }
  }

  /** Goes on from what was counted elsewhere. */
  set(key: string, { current, ttl }: RateCount): void {
    this.#windows.set(key, { count: current, endsAtMs: this.#clock.elapsed() + ttl })
  }
}
