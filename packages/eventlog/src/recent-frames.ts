import { EntryList } from './entry-list.ts'
import type { LogEntry } from './event-log.ts'

/** Entries whose frames are kept. Whoever reads what is older encodes it anew. */
const KEPT = 256

/**
 * Lets go of the frames of entries that are no longer new. Live readers, however many, share a frame; kept for as
 * long as its entry, it would take more memory than what it says, and be carried along by every collection.
 */
export class RecentFrames {
  readonly #entries = new EntryList()

  /** The entries that have their frames still. */
  get size(): number {
    return this.#entries.size
  }

  add(entry: LogEntry): void {
    this.#entries.push(entry)
    if (this.#entries.size > KEPT) this.#removeOldest()
  }

  /** Lets go of the entries, too, that are kept elsewhere: few may be much. */
  evictUpTo(n: number): void {
    while ((this.#entries.at(0)?.position.n ?? Number.POSITIVE_INFINITY) <= n) this.#removeOldest()
  }

  /** Lets go of all, for a log that has ended. */
  clear(): void {
    this.evictUpTo(Number.MAX_SAFE_INTEGER)
  }

  #removeOldest(): void {
    const oldest = this.#entries.shift()
    if (oldest !== undefined) oldest.frames = undefined
  }
}
