/** A log that is compared from time to time. */
export interface SyncedLog {
  readonly head: { readonly n: number }
  /** Whether a message of it that is lost shows at the next one, whatever it is of. */
  readonly showsHoles: boolean
  /** Compares it where there is anything to compare, and answers whether there is. */
  sync(): boolean
}

interface Turn {
  /** When it comes, by the clock of `elapsed`. */
  dueMs: number
  /** Where the log stood at the turn before. */
  headN: number
}

export interface SyncTurnsOptions {
  readonly intervalMs: number
  /** Comparisons in a second at most. */
  readonly maxPerS: number
  readonly elapsed: () => number
}

/** Turns in an interval, so that what is due in one is little. */
const TURNS = 10
/** So many times the interval until a quiet log that shows its holes is compared again. */
const QUIET_INTERVALS = 5
/** The part of an interval by which one log's first turn comes after another's: it spreads any number evenly. */
const GOLDEN = 0.618_033_988_75

/**
 * Has each log of a node compared in its turn: for the last message of a log, whose loss no other shows.
 *
 * A log is compared once an interval; a run's that has not moved since only every fifth, as whatever comes next shows
 * what was lost before, and within an interval after that. The turns are spread over the interval; where they are more
 * than may be in a second they come later, those that have waited longest first.
 */
export class SyncTurns<Log extends SyncedLog> {
  /** How often `next` is to be called. */
  readonly everyMs: number
  readonly #options: SyncTurnsOptions
  readonly #maxAtOnce: number
  /** Whose turn was longest ago comes first. */
  readonly #turns = new Map<Log, Turn>()
  #phase = 0

  constructor(options: SyncTurnsOptions) {
    this.#options = options
    this.everyMs = Math.max(1, Math.floor(options.intervalMs / TURNS))
    this.#maxAtOnce = Math.max(1, Math.floor((options.maxPerS * this.everyMs) / 1_000))
  }

  add(log: Log): void {
    const { intervalMs, elapsed } = this.#options
    this.#phase = (this.#phase + GOLDEN) % 1
    this.#turns.set(log, { dueMs: elapsed() + this.#phase * intervalMs, headN: log.head.n })
  }

  delete(log: Log): void {
    this.#turns.delete(log)
  }

  clear(): void {
    this.#turns.clear()
  }

  /** It is the turn of all of them, as something may have been lost. */
  hasten(): void {
    const nowMs = this.#options.elapsed()
    for (const turn of this.#turns.values()) turn.dueMs = Math.min(turn.dueMs, nowMs)
  }

  /** It has come further: its next turn is no later than one interval from now. */
  moved(log: Log): void {
    const { elapsed, intervalMs } = this.#options
    const turn = this.#turns.get(log)
    if (turn !== undefined) turn.dueMs = Math.min(turn.dueMs, elapsed() + intervalMs)
  }

  /** Compares those whose turn it is. */
  next(): void {
    const { elapsed, intervalMs } = this.#options
    const nowMs = elapsed()
    const due = [...this.#turns].filter(([, { dueMs }]) => dueMs <= nowMs)
    let count = 0
    for (const [log, { headN: before }] of due) {
      if (count === this.#maxAtOnce) return
      const headN = log.head.n
      const isQuiet = log.showsHoles && headN === before
      this.#turns.delete(log)
      this.#turns.set(log, { dueMs: nowMs + intervalMs * (isQuiet ? QUIET_INTERVALS : 1), headN })
      if (log.sync()) count += 1
    }
  }
}
