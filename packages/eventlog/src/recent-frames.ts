import type { LogEntry } from './event-log.ts'

/** Entries whose frames are kept. Whoever reads what is older encodes it anew. */
const KEPT = 256

/**
 * Lets go of the frames of entries that are no longer new. Live readers, however many, share a frame; kept for as
 * long as its entry, it would take more memory than what it says, and be carried along by every collection.
 */
export class RecentFrames {
  // Filled from the front, then around: a log of a few entries takes no more than they do.
  readonly #entries: LogEntry[] = []
  #next = 0

  add(entry: LogEntry): void {
    const oldest = this.#entries[this.#next]
    if (oldest !== undefined) oldest.frames = undefined
    this.#entries[this.#next] = entry
    this.#next = (this.#next + 1) % KEPT
  }

  /** Lets go of all, for a log that has ended. */
  clear(): void {
    for (const entry of this.#entries.splice(0)) entry.frames = undefined
    this.#next = 0
  }
}
