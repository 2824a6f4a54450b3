import type { LogEntry } from './event-log.ts'

/**
 * Those who hear of each new entry. A listener must not throw, for a reader's trouble is not the log's: where one
 * does, the others hear of the entry all the same, and then whoever appended it gets the error.
 */
export class EntryListeners {
  // Each of its own, so that the same listener added twice is told twice and removed once.
  readonly #listeners = new Set<{ n: number; readonly listener: (entry: LogEntry) => void }>()
  // What is still to be told: a listener may append, and its entry comes after those that were there before.
  readonly #untold: LogEntry[] = []
  #telling = false

  get size(): number {
    return this.#listeners.size
  }

  /** Adds a listener for what comes after `n`; the answer removes it, and may be called twice. */
  add(n: number, listener: (entry: LogEntry) => void): () => void {
    const added = { n, listener }
    this.#listeners.add(added)
    return () => void this.#listeners.delete(added)
  }

  /** The log goes on after `n`, and so does everybody: its numbers are given anew. */
  rewind(n: number): void {
    for (const added of this.#listeners) added.n = Math.min(added.n, n)
  }

  tell(entries: readonly LogEntry[]): void {
    for (const entry of entries) this.#untold.push(entry)
    if (this.#telling) return
    this.#telling = true
    const failures: unknown[] = []
    for (const entry of this.#untold) {
      for (const { n, listener } of this.#listeners) {
        // What has no place yet is new to everybody.
        if (entry.position.n <= n && !entry.provisional) continue
        try {
          listener(entry)
        } catch (error) {
          failures.push(error)
        }
      }
    }
    this.#untold.length = 0
    this.#telling = false
    if (failures.length > 0) throw new AggregateError(failures, 'A listener of the log failed')
  }
}
