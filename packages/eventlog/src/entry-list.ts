import type { LogEntry } from './event-log.ts'

/** Emptied slots after which the list is written anew, where they are most of it. */
const MAX_EMPTY_SLOTS = 64

/** Entries that come at one end and go at the other. */
export class EntryList {
  // The slots before #start are empty. They are cut off in bulk, so that taking one entry away is cheap.
  #slots: (LogEntry | undefined)[] = []
  #start = 0

  get size(): number {
    return this.#slots.length - this.#start
  }

  /** How many entries it keeps from being collected, whether it still has them or not. */
  get heldCount(): number {
    return this.#slots.filter((slot) => slot !== undefined).length
  }

  /** `undefined` from `size` on. */
  at(index: number): LogEntry | undefined {
    return this.#slots[this.#start + index]
  }

  push(entry: LogEntry): void {
    this.#slots.push(entry)
  }

  shift(): LogEntry | undefined {
    const entry = this.at(0)
    if (entry === undefined) return undefined
    // At once: with many lists, what each of them held until it is cut would be most of what is in memory.
    this.#slots[this.#start] = undefined
    this.#start += 1
    if (this.size === 0 || (this.#start > MAX_EMPTY_SLOTS && this.#start > this.size)) this.#cut()
    return entry
  }

  #cut(): void {
    this.#slots = this.#slots.slice(this.#start)
    this.#start = 0
  }
}
