import type { LogEntry } from './event-log.ts'

/** How much data the entries of a log have that at least one topic keeps. */
export class KeptBytes {
  // By number, oldest first, as entries come in order.
  readonly #kept = new Map<number, { readonly entry: LogEntry; topicsLeft: number }>()
  #total = 0

  get total(): number {
    return this.#total
  }

  get oldest(): LogEntry | undefined {
    return this.#kept.values().next().value?.entry
  }

  add(entry: LogEntry): void {
    this.#kept.set(entry.position.n, { entry, topicsLeft: Math.max(1, entry.topics.length) })
    this.#total += dataBytes(entry.event.json)
  }

  /** One of its topics has let go of an entry. */
  remove({ position: { n }, event }: LogEntry): void {
    const kept = this.#kept.get(n)
    if (kept === undefined) return
    kept.topicsLeft -= 1
    if (kept.topicsLeft > 0) return
    this.#kept.delete(n)
    this.#total -= dataBytes(event.json)
  }
}

/** What an event's data counts for. */
export function dataBytes(json: string): number {
  return Buffer.byteLength(json)
}
