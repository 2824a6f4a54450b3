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

/** A log in the memory of this process: gone with it. */
export class MemoryEventLog implements EventLog {
  readonly name: string
  readonly #runId: string | undefined
  readonly #now: () => number
  readonly #positions: PositionSequence
  readonly #window: LogWindow
  readonly #listeners = new EntryListeners()
  #closed = false

  constructor(name: string, { runId, retention }: OpenOptions, now: () => number) {
    this.name = name
    this.#runId = runId
    this.#now = now
    const zero = { ms: Math.trunc(now()), n: 0 }
    this.#positions = new PositionSequence(now, zero)
    this.#window = new LogWindow({ openedMs: zero.ms, retention })
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
    return batch.map((append) => this.#add(append))
  }

  async close(terminal: Append): Promise<LogEntry> {
    if (this.#closed) throw new LogClosedError(this.name)
    this.#closed = true
    return this.#add(terminal)
  }

  async locate(cursor: Cursor, topics?: readonly string[]): Promise<StartingPoint> {
    return this.#window.locate(cursor, topics)
  }

  async read(afterN: number, options?: ReadOptions): Promise<Page> {
    return this.#window.read(afterN, options)
  }

  tail(listener: (entry: LogEntry) => void): () => void {
    return this.#listeners.add(listener)
  }

  trim(): void {
    this.#window.trim(this.#now())
  }

  #add({ event, audience }: Append): LogEntry {
    const position = this.#positions.next()
    const entry = logEntry(event, audience, position, this.idOf(position))
    this.#window.add(entry, position.ms)
    this.#listeners.tell(entry)
    return entry
  }
}
