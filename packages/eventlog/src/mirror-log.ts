import { type Cursor, formatEventId, type Position } from '@tributary/protocol'
import { EntryListeners } from './entry-listeners.ts'
import type {
  LogEntry,
  LogRange,
  Page,
  ReadableLog,
  ReadOptions,
  Retention,
  StartingPoint,
} from './event-log.ts'
import { type Following, NEVER_REWINDS, NOTHING_TO_FOLLOW } from './following.ts'
import { LogClosedError } from './log-error.ts'
import { LogWindow } from './log-window.ts'
import { RecentFrames } from './recent-frames.ts'

export interface MirrorLogOptions {
  /** The run whose log is mirrored. */
  readonly runId: string
  readonly retention: Retention
  readonly now: () => number
}

/** A log that another process owns, as far as it has been read here: same ids, same order. */
export class MirrorLog implements ReadableLog {
  readonly name: string
  readonly #runId: string
  readonly #now: () => number
  readonly #window: LogWindow
  readonly #listeners = new EntryListeners()
  readonly #recent = new RecentFrames()
  #closed = false

  constructor({ runId, retention, now }: MirrorLogOptions) {
    this.name = `run:${runId}`
    this.#runId = runId
    this.#now = now
    // The owner's clock made the times, so any time may be its beginning.
    this.#window = new LogWindow({ runId, openedMs: 0, retention: () => retention })
  }

  get head(): Position {
    return this.#window.head
  }

  get closed(): boolean {
    return this.#closed
  }

  get readerCount(): number {
    return this.#listeners.size
  }

  idOf({ ms, n }: Position): string {
    return formatEventId({ runId: this.#runId, ms, n })
  }

  /**
   * Takes the next entry from the owner; one that is here already is ignored. Where its number leaves some out, the
   * owner has them no more, and who reads on from before is told.
   */
  add(entry: LogEntry, terminal: boolean): void {
    const { ms, n } = entry.position
    if (n <= this.head.n) return
    if (this.#closed) throw new LogClosedError(this.name)
    this.#closed = terminal
    if (n > this.head.n + 1) this.#window.lose({ ms, n: n - 1 })
    this.#window.add(entry, this.#now())
    this.#recent.add(entry)
    this.#listeners.tell([entry])
    if (this.#closed) this.#recent.clear()
  }

  /** A cursor ahead of the mirror is no gap before the end: the owner may be ahead of it too. */
  async locate(cursor: Cursor): Promise<StartingPoint> {
    const isOurs = cursor.kind === 'event' && (cursor.runId ?? this.#runId) === this.#runId
    if (isOurs && (cursor.n === 0 || (cursor.n > this.head.n && !this.#closed))) {
      return { after: { ms: cursor.ms, n: cursor.n } }
    }
    return this.#window.locate(cursor)
  }

  async read(afterN: number, options?: ReadOptions): Promise<Page> {
    return this.#window.read(afterN, options)
  }

  async position(): Promise<LogRange> {
    return this.#window.range()
  }

  tail(listener: (entry: LogEntry) => void): () => void {
    return this.#listeners.add(this.head.n, listener)
  }

  follow(): Following {
    return NOTHING_TO_FOLLOW
  }

  onRewind(): () => void {
    return NEVER_REWINDS
  }
}
