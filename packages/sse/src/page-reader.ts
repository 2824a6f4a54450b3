import { DEFAULT_PAGE_LIMIT, type LogEntry, type Page, type ReadableLog } from '@tributary/eventlog'
import type { GapData, GapReason, Position, Topic } from '@tributary/protocol'
import type { SentMarks } from './sent-marks.ts'

/** Characters of data in one answer, beyond the first event of it. */
const MAX_PAGE_CHARS = 1_048_576
/** Entries are looked at so many at a time at least, as most may be for others. */
const MIN_READ = 64
/** Reads for one answer at most. Who looks for something rare is answered in between, with how far it has come. */
const MAX_READS = 64

export interface PageReaderOptions {
  readonly log: ReadableLog
  readonly after: Position
  /** Whether it takes whatever there is: what is gone by then it does not miss. */
  readonly beginsAtOldest: boolean
  /** What its reader was sent besides. */
  readonly sent: SentMarks
  readonly gap?: GapReason
  /** The cursor that leads nowhere any more, as it came. */
  readonly from?: string | undefined
  readonly lostUpTo?: Position
  readonly limit: number
  readonly topics: readonly Topic[] | undefined
  readonly accepts: ((entry: LogEntry) => boolean) | undefined
}

/** Collects one page of a log. */
export class PageReader {
  readonly #options: PageReaderOptions
  readonly #entries: LogEntry[] = []
  #position: Position
  #toldUpToN: number | undefined
  #gap: GapData | undefined
  #chars = 0
  #hasMore = false

  constructor(options: PageReaderOptions) {
    const { log, after, beginsAtOldest, gap, lostUpTo = after, from = log.idOf(after) } = options
    this.#options = options
    this.#position = after
    if (!beginsAtOldest) this.#toldUpToN = lostUpTo.n
    if (gap !== undefined) this.#gap = { from, to: log.idOf(lostUpTo), reason: gap }
  }

  /** Whether there is nothing to answer with, and something may still come. */
  get isEmpty(): boolean {
    return this.#entries.length === 0 && this.#gap === undefined && !this.#hasMore && !this.#ended
  }

  /** Whether it has come as far as the log has. */
  get isAtHead(): boolean {
    return this.#options.log.head.n <= this.#position.n
  }

  /** Whether an entry that was just appended is for its reader, or the last there is. */
  concerns(entry: LogEntry): boolean {
    const { log, accepts } = this.#options
    if (entry.position.n <= this.#position.n) return false
    return log.closed || accepts === undefined || accepts(entry)
  }

  page() {
    const { log } = this.#options
    return {
      entries: this.#entries,
      cursor: log.idOf(this.#position) + this.#options.sent.suffix,
      gap: this.#gap,
      hasMore: this.#hasMore,
      ended: this.#ended,
    }
  }

  /** Reads on, up to the head or until the page is full. */
  async read(): Promise<void> {
    const { log, topics, limit } = this.#options
    const atOnce = Math.min(DEFAULT_PAGE_LIMIT, Math.max(MIN_READ, limit + 1))
    for (let reads = 0; reads < MAX_READS; reads++) {
      const headAtRead = log.head
      const selected = topics === undefined ? {} : { topics }
      const page = await log.read(this.#position.n, { ...selected, limit: atOnce })
      if (!this.#takeLoss(page) || !page.entries.every((entry) => this.#take(entry))) {
        this.#hasMore = true
        return
      }
      if (page.hasMore) continue
      if (headAtRead.n > this.#position.n) this.#position = headAtRead
      if (this.isAtHead) return
    }
    this.#hasMore = true
  }

  /** Answers whether it may go on: a gap comes before all the events of a page. */
  #takeLoss({ entries: [next], lostUpTo }: Page): boolean {
    const { log } = this.#options
    const lostN = lostUpTo?.n ?? 0
    this.#toldUpToN ??= lostN
    if (lostUpTo === undefined || lostN <= this.#toldUpToN) return true
    if (this.#entries.length > 0) return false
    this.#toldUpToN = lostN
    const { from, reason } = this.#gap ?? { from: log.idOf(this.#position), reason: 'overflow' as const }
    this.#gap = { from, to: log.idOf(lostUpTo), reason }
    if (next === undefined || next.position.n > lostN) this.#position = lostUpTo
    return true
  }

  /** Answers whether it found room. */
  #take(entry: LogEntry): boolean {
    const { limit, accepts, sent } = this.#options
    if ((accepts === undefined || accepts(entry)) && !sent.has(entry)) {
      const chars = this.#chars + entry.event.json.length
      const count = this.#entries.length
      if (count > 0 && (count >= limit || chars > MAX_PAGE_CHARS)) return false
      this.#entries.push(entry)
      this.#chars = chars
    }
    sent.pass(entry)
    this.#position = entry.position
    return true
  }

  get #ended(): boolean {
    return this.#options.log.closed && this.isAtHead
  }
}
