import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Clock } from '@tributary/protocol'

/** How often it is looked, in ms. What Node tells includes that, so it is taken off. */
const RESOLUTION_MS = 20
/** How long a window is. What is told is of the last whole one, and of this one where it is worse. */
const WINDOW_MS = 10_000
/** A window says nothing before: of a few looks the start of the process, or one long turn, is the worst in a hundred. */
const TELLING_MS = 2_000
const NS_PER_MS = 1e6

/** How long the event loop lets a timer wait beyond its time, in ms. */
export interface Delay {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

const NONE: Delay = { p50Ms: 0, p99Ms: 0, maxMs: 0 }

/** Measures how late the event loop is, over the last ten to twenty seconds. */
export class EventLoopDelay {
  readonly #histogram: ReturnType<typeof monitorEventLoopDelay>
  readonly #stop: () => void
  #last = NONE
  #beganMs = performance.now()

  constructor(clock: Pick<Clock, 'every'>) {
    this.#histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    this.#histogram.enable()
    this.#stop = clock.every(WINDOW_MS, () => {
      this.#last = this.#now()
      this.#histogram.reset()
      this.#beganMs = performance.now()
    })
  }

  read(): Delay {
    const now = this.#now()
    const { p50Ms, p99Ms, maxMs } = this.#last
    return {
      p50Ms: Math.max(now.p50Ms, p50Ms),
      p99Ms: Math.max(now.p99Ms, p99Ms),
      maxMs: Math.max(now.maxMs, maxMs),
    }
  }

  close(): void {
    this.#stop()
    this.#histogram.disable()
  }

  #now(): Delay {
    if (performance.now() - this.#beganMs < TELLING_MS) return NONE
    return {
      p50Ms: late(this.#histogram.percentile(50)),
      p99Ms: late(this.#histogram.percentile(99)),
      maxMs: late(this.#histogram.max),
    }
  }
}

function late(ns: number): number {
  return Math.max(0, Math.round((ns / NS_PER_MS - RESOLUTION_MS) * 100) / 100)
}
