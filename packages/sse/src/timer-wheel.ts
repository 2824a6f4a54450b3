import type { Clock } from '@tributary/protocol'

/** How exact the wheel is. Streams need no better, and ten thousand of them share its one timer. */
export const DEFAULT_TICK_MS = 50

/** What is called when its time has come. An object, so that who is scheduled again and again makes none anew. */
export interface Scheduled {
  onDue(): void
}

/**
 * Many timeouts on one timer. It goes by the time that has passed: so a clock that is set ends no stream, and ticks that
 * come late under load are made up for.
 */
export class TimerWheel {
  readonly #clock: Clock
  readonly #tickMs: number
  readonly #buckets = new Map<number, Set<Scheduled>>()
  // The last tick whose timeouts were called.
  #tick: number
  #now: number
  #stopTicking: (() => void) | undefined

  /** @param tickMs default `DEFAULT_TICK_MS`. */
  constructor(clock: Clock, tickMs = DEFAULT_TICK_MS) {
    this.#clock = clock
    this.#tickMs = tickMs
    this.#tick = this.#currentTick()
    this.#now = clock.now()
  }

  /** The clock's time as of the last tick, in ms since 1970: what is asked for each event must cost nothing. */
  get now(): number {
    // While nothing is scheduled there are no ticks.
    return this.#stopTicking === undefined ? this.#clock.now() : this.#now
  }

  /** The tick that it has come to. */
  get tick(): number {
    return this.#tick
  }

  /** The first tick that is not before `delayMs` from now. */
  tickAfter(delayMs: number): number {
    return Math.floor((this.#clock.elapsed() + delayMs) / this.#tickMs) + 1
  }

  /** Calls `onDue` once at a tick that is still to come. */
  add(tick: number, scheduled: Scheduled): void {
    if (this.#stopTicking === undefined) {
      this.#now = this.#clock.now()
      this.#tick = this.#currentTick()
      this.#stopTicking = this.#clock.every(this.#tickMs, () => this.#onTick())
    }
    let bucket = this.#buckets.get(tick)
    if (bucket === undefined) {
      bucket = new Set()
      this.#buckets.set(tick, bucket)
    }
    bucket.add(scheduled)
  }

  /** Takes back what was added for a tick; nothing where it has been called. */
  remove(tick: number, scheduled: Scheduled): void {
    const bucket = this.#buckets.get(tick)
    if (bucket?.delete(scheduled) && bucket.size === 0) this.#buckets.delete(tick)
    this.#stopWhenIdle()
  }

  /** What is to be called, and at which tick: for who looks whether it still should. */
  *scheduled(): Iterable<readonly [tick: number, scheduled: Scheduled]> {
    for (const [tick, bucket] of this.#buckets) for (const each of bucket) yield [tick, each]
  }

  /** Calls back once, not before `delayMs` and at most two ticks later; the answer cancels it. */
  schedule(delayMs: number, callback: () => void): () => void {
    const tick = this.tickAfter(delayMs)
    const scheduled: Scheduled = { onDue: () => callback() }
    this.add(tick, scheduled)
    return () => this.remove(tick, scheduled)
  }

  #onTick(): void {
    this.#now = this.#clock.now()
    const current = this.#currentTick()
    while (this.#tick < current) {
      this.#tick += 1
      this.#callDue()
    }
    this.#stopWhenIdle()
  }

  #callDue(): void {
    const due = this.#buckets.get(this.#tick)
    if (due === undefined) return
    for (const scheduled of due) {
      due.delete(scheduled)
      scheduled.onDue()
    }
    this.#buckets.delete(this.#tick)
  }

  #currentTick(): number {
    return Math.floor(this.#clock.elapsed() / this.#tickMs)
  }

  #stopWhenIdle(): void {
    if (this.#buckets.size > 0) return
    this.#stopTicking?.()
    this.#stopTicking = undefined
  }
}
