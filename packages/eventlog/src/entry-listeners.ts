import type { LogEntry } from './event-log.ts'

/** Those who hear of each new entry. A listener must not throw: a reader's trouble is not the log's. */
export class EntryListeners {
  readonly #listeners = new Set<(entry: LogEntry) => void>()

  get size(): number {
    return this.#listeners.size
  }

  /** Adds a listener; the answer removes it, and may be called twice. */
  add(listener: (entry: LogEntry) => void): () => void {
    // A function of its own, so that the same listener added twice is told twice and removed once.
    const added = (entry: LogEntry) => listener(entry)
    this.#listeners.add(added)
    return () => void this.#listeners.delete(added)
  }

  tell(entry: LogEntry): void {
    for (const listener of this.#listeners) listener(entry)
  }
}
