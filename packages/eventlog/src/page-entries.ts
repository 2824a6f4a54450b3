import { DEFAULT_PAGE_CHARS, DEFAULT_PAGE_LIMIT, type LogEntry, type ReadOptions } from './event-log.ts'

/** The entries of one page, within its bounds. */
export class PageEntries {
  readonly entries: LogEntry[] = []
  readonly limit: number
  readonly #maxChars: number
  #chars = 0
  #hasMore = false

  constructor({ limit = DEFAULT_PAGE_LIMIT, maxChars = DEFAULT_PAGE_CHARS }: ReadOptions) {
    this.limit = limit
    this.#maxChars = maxChars
  }

  /** Whether there was an entry that it had no room for. */
  get hasMore(): boolean {
    return this.#hasMore
  }

  /** Takes the next entry; answers whether there was room. The first has room however large it is. */
  take(entry: LogEntry): boolean {
    const count = this.entries.length
    const chars = this.#chars + entry.event.json.length
    if (count >= this.limit || (count > 0 && chars > this.#maxChars)) {
      this.#hasMore = true
      return false
    }
    this.entries.push(entry)
    this.#chars = chars
    return true
  }
}
