import { type Cursor, formatEventId, type Position, PositionSequence } from '@tributary/protocol'
import { EntryListeners } from '../entry-listeners.ts'
import {
  type Append,
  type EventLog,
  LogClosedError,
  type LogEntry,
  type OpenOptions,
  type Page,
  type ReadOptions,
  type StartingPoint,
} from '../event-log.ts'
import { logEntry } from '../log-entry.ts'
import { LogWindow } from '../log-window.ts'
import { RecentFrames } from '../recent-frames.ts'

/** A log in the memory of this process: gone with it. */
export class MemoryEventLog implements EventLog {
  readonly name: string
  readonly #runId: string | undefined
  readonly #now: () => number
  readonly #window: LogWindow
  readonly #listeners = new EntryListeners()
  readonly #recent = new RecentFrames()
  #closed = false

  constructor(name: string, { runId, retention }: OpenOptions, now: () => number) {
    this.name = name
    this.#runId = runId
    this.#now = now
    this.#window = new LogWindow({
      openedMs: Math.trunc(now()),
      retention,
      ...(runId === undefined ? {} : { runId }),
    })
  }

  get head(): Position {
    return this.#window.head
  }

  get closed(): boolean {
    return this.#closed
  }

  idOf({ ms, n }: Position): string {
    return this.#runId === undefined ? formatEventId({ ms, n }) : formatEventId({ runId: this.#runId, ms, n })
  }

  async append(batch: readonly Append[]): Promise<readonly LogEntry[]> {
    if (this.#closed) throw new LogClosedError(this.name)
    const entries = this.#entriesOf(batch)
    this.#add(entries)
    return entries
  }

  async close(terminal: Append): Promise<LogEntry> {
    if (this.#closed) throw new LogClosedError(this.name)
    const [entry] = this.#entriesOf([terminal])
    if (entry === undefined) throw new Error('a batch of one is empty')
    this.#closed = true
    this.#add([entry])
    return entry
  }

  async locate(cursor: Cursor, topics?: readonly string[]): Promise<StartingPoint> {
    return this.#window.locate(cursor, topics)
  }

  async read(afterN: number, options?: ReadOptions): Promise<Page> {
    return this.#window.read(afterN, options)
  }

  tail(listener: (entry: LogEntry) => void): () => void {
    return this.#listeners.add(this.head.n, listener)
  }

  trim(): void {
    this.#window.trim(this.#now())
  }

  /** The entries of a batch, which may still be refused: nothing is appended yet, and no number is taken. */
  #entriesOf(batch: readonly Append[]): LogEntry[] {
    const positions = new PositionSequence(this.#now, this.head)
    return batch.map(({ event, audience }) => {
      const position = positions.next()
      return logEntry(event, audience, position, this.idOf(position))
    })
  }

  #add(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      this.#window.add(entry, entry.position.ms)
      this.#recent.add(entry)
    }
    this.#listeners.tell(entries)
    if (this.#closed) this.#recent.clear()
  }
}
