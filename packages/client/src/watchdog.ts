import type { Clock } from '@tributary/protocol'
import { MAX_TIMER_MS } from './wait.ts'

/** How often our servers send a heartbeat, unless they are told otherwise, in ms. */
const DEFAULT_HEARTBEAT_MS = 30_000
/** A stream on which nothing came for so many intervals is taken for dead: two heartbeats were lost. */
const SILENT_INTERVALS = 2.5

/** `learn`: from the heartbeats that come; without one there is no watch. */
export type HeartbeatInterval = number | 'learn'

/**
 * Notices that a stream has fallen silent, which a lost peer alone never says. Any byte is a sign of life.
 *
 * It looks when a stream could be silent for too long at the earliest, and once more for the rest if a byte came
 * since: one timer per stream, and nothing is allocated for an event.
 */
export class Watchdog {
  readonly #clock: Clock
  readonly #learns: boolean
  #limitMs: number | undefined
  #onSilent: ((limitMs: number) => void) | undefined
  #lastSeenMs = 0
  #lastBeatMs = 0
  #paused = false
  #cancel: (() => void) | undefined

  /** @param heartbeatMs the interval expected; 0 or absent: no watch. */
  constructor(clock: Clock, heartbeatMs: HeartbeatInterval | undefined) {
    this.#clock = clock
    this.#learns = heartbeatMs === 'learn'
    if (typeof heartbeatMs === 'number' && heartbeatMs > 0) this.#limitMs = limitOf(heartbeatMs)
  }

  /** An attempt begins. `onSilent` is called at most once. */
  start(onSilent: (limitMs: number) => void): void {
    this.#onSilent = onSilent
    this.resume()
    this.#arm()
  }

  /** The stream stands. */
  opened(): void {
    this.resume()
    this.#lastBeatMs = this.#lastSeenMs
  }

  /** Bytes came, and whoever reads them is at work: its time is not the server's. */
  pause(): void {
    this.#paused = true
  }

  /** Bytes are waited for again. */
  resume(): void {
    this.#paused = false
    this.#lastSeenMs = this.#clock.now()
  }

  /** A heartbeat came. They are expected as far apart as the last two, or the opening and the first, were. */
  beat(): void {
    if (!this.#learns) return
    const nowMs = this.#clock.now()
    this.#limitMs = limitOf(Math.max(DEFAULT_HEARTBEAT_MS, nowMs - this.#lastBeatMs))
    this.#lastBeatMs = nowMs
    if (this.#cancel === undefined) this.#arm()
  }

  /** The attempt is over. Idempotent. */
  stop(): void {
    this.#onSilent = undefined
    this.#cancel?.()
    this.#cancel = undefined
  }

  #arm(): void {
    if (this.#limitMs !== undefined) this.#cancel = this.#clock.after(this.#limitMs, this.#look)
  }

  readonly #look = (): void => {
    const limitMs = this.#limitMs ?? 0
    const nowMs = this.#clock.now()
    // The wall clock may have been set back; from here on it counts again.
    this.#lastSeenMs = Math.min(this.#lastSeenMs, nowMs)
    const leftMs = this.#paused ? limitMs : this.#lastSeenMs + limitMs - nowMs
    if (leftMs > 0) {
      this.#cancel = this.#clock.after(leftMs, this.#look)
      return
    }
    this.#cancel = undefined
    this.#onSilent?.(limitMs)
  }
}

function limitOf(heartbeatMs: number): number {
  return Math.min(SILENT_INTERVALS * heartbeatMs, MAX_TIMER_MS)
}
