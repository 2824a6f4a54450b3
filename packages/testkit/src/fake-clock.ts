import type { Clock } from '@tributary/protocol'

interface Timer {
  atMs: number
  readonly everyMs: number | undefined
  readonly callback: () => void
}

/** A clock that moves only when told. Timers run in the order of their times. */
export class FakeClock implements Clock {
  #nowMs: number
  // What timers go by. A jump of the wall clock does not touch it.
  #elapsedMs = 0
  readonly #timers = new Set<Timer>()

  constructor(nowMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = nowMs
  }

  /** How many timers are set. */
  get timerCount(): number {
    return this.#timers.size
  }

  now(): number {
    return this.#nowMs
  }

  elapsed(): number {
    return this.#elapsedMs
  }

  after(delayMs: number, callback: () => void): () => void {
    return this.#add({ atMs: this.#elapsedMs + delayMs, everyMs: undefined, callback })
  }

  every(intervalMs: number, callback: () => void): () => void {
    return this.#add({ atMs: this.#elapsedMs + intervalMs, everyMs: intervalMs, callback })
  }

  /** Moves on by `ms`, calling what falls due on the way. */
  advance(ms: number): void {
    const endMs = this.#elapsedMs + ms
    for (let due = this.#nextDue(endMs); due !== undefined; due = this.#nextDue(endMs)) {
      this.#moveTo(due.atMs)
      if (due.everyMs === undefined) this.#timers.delete(due)
      else due.atMs += due.everyMs
      due.callback()
    }
    this.#moveTo(endMs)
  }

  /** Time passes, and nothing is called until it has: as where something holds the process. */
  hold(ms: number): void {
    this.#moveTo(this.#elapsedMs + ms)
    for (const timer of [...this.#timers]) {
      if (timer.atMs > this.#elapsedMs || !this.#timers.has(timer)) continue
      if (timer.everyMs === undefined) this.#timers.delete(timer)
      else timer.atMs = this.#elapsedMs + timer.everyMs
      timer.callback()
    }
  }

  /** Sets the wall clock, forwards or back, without a timer noticing. */
  jumpTo(nowMs: number): void {
    this.#nowMs = nowMs
  }

  #moveTo(elapsedMs: number): void {
    this.#nowMs += elapsedMs - this.#elapsedMs
    this.#elapsedMs = elapsedMs
  }

  #nextDue(endMs: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.atMs <= endMs && (next === undefined || timer.atMs < next.atMs)) next = timer
    }
    return next
  }

  #add(timer: Timer): () => void {
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }
}
