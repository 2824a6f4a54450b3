/** Where time comes from. Everything that waits or stamps takes one, so that a test can move it by hand. */
export interface Clock {
  /** Milliseconds since 1970. May stand still or jump back; ids rise all the same. */
  now(): number
  /** Milliseconds by a clock that nobody sets, from any beginning: what a duration is measured by. */
  elapsed(): number
  /** Calls `callback` once after `delayMs`; the answer cancels it. Never keeps the process alive. */
  after(delayMs: number, callback: () => void): () => void
  /** Calls `callback` every `intervalMs`; the answer ends it. Never keeps the process alive. */
  every(intervalMs: number, callback: () => void): () => void
}

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    timer.unref?.()
    return () => clearTimeout(timer)
  },
  every(intervalMs, callback) {
    const timer = setInterval(callback, intervalMs)
    timer.unref?.()
    return () => clearInterval(timer)
  },
}
