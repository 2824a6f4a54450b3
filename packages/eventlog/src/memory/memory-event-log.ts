import { type Cursor, formatEventId, type Position, PositionSequence } from '@tributary/protocol'
import { ChangeListeners } from '../change-listeners.ts'
import { EntryListeners } from '../entry-listeners.ts'
import { type EphemeralEvent, EphemeralListeners, type Telling, type Told } from '../ephemeral-event.ts'
import type {
  Append,
  AppendOptions,
  EventLog,
  LogEntry,
  LogRange,
  OnceAnswer,
  OnceKey,
  OpenOptions,
  Page,
  ReadOptions,
  StartingPoint,
} from '../event-log.ts'
import { type Following, NEVER_REWINDS, NOTHING_TO_FOLLOW } from '../following.ts'
import { logEntry } from '../log-entry.ts'
import { LogClosedError, StaleEpochError } from '../log-error.ts'
import { LogWindow } from '../log-window.ts'
import { RecentFrames } from '../recent-frames.ts'
import { OnceKeys } from './once-keys.ts'

/** A log in the memory of this process: gone with it. */
export class MemoryEventLog implements EventLog {
  readonly name: string
  readonly #runId: string | undefined
  readonly #now: () => number
  readonly #window: LogWindow
  readonly #listeners = new EntryListeners()
  readonly #attributeListeners = new ChangeListeners()
  readonly #ephemeralListeners = new EphemeralListeners()
  readonly #recent = new RecentFrames()
  readonly #attributes: Map<string, string>
  readonly #onceKeys = new OnceKeys()
  #epoch = 0
  #closed = false

  constructor(name: string, { runId, retention, maxBytes, attributes = {} }: OpenOptions, now: () => number) {
    this.name = name
    this.#runId = runId
    this.#now = now
    this.#attributes = new Map(Object.entries(attributes))
    this.#window = new LogWindow({
      openedMs: Math.trunc(now()),
      retention,
      maxBytes,
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

  get attributes(): ReadonlyMap<string, string> {
    return this.#attributes
  }

  onAttributes(listener: () => void): () => void {
    return this.#attributeListeners.add(listener)
  }

  async append(batch: readonly Append[], options?: AppendOptions): Promise<readonly LogEntry[]> {
    this.#refuse(options)
    const entries = this.#entriesOf(batch)
    this.#change(options)
    this.#add(entries)
    if (options?.attributes !== undefined) this.#attributeListeners.tell()
    return entries
  }

  async appendOnce(batch: readonly Append[], once: OnceKey): Promise<OnceAnswer> {
    this.#refuse()
    const known = this.#onceKeys.find(once, this.name, this.#now())
    if (known !== undefined) return known
    const entries = this.#entriesOf(batch)
    this.#onceKeys.add(once, entries[0]?.position, this.#now())
    this.#add(entries)
    return { replayed: false, entries }
  }

  async close(terminal: Append, options?: AppendOptions): Promise<LogEntry> {
    this.#refuse(options)
    const [entry] = this.#entriesOf([terminal])
    if (entry === undefined) throw new Error('a batch of one is empty')
    this.#change(options)
    this.#closed = true
    this.#add([entry])
    if (options?.attributes !== undefined) this.#attributeListeners.tell()
    return entry
  }

  async tell(telling: Telling): Promise<Told> {
    if (this.#closed) throw new LogClosedError(this.name)
    return this.#ephemeralListeners.tellAll(telling)
  }

  onTold(listener: (event: EphemeralEvent) => void): () => void {
    return this.#ephemeralListeners.add(listener)
  }

  async locate(cursor: Cursor, topics?: readonly string[]): Promise<StartingPoint> {
    return this.#window.locate(cursor, topics)
  }

  async read(afterN: number, options?: ReadOptions): Promise<Page> {
    return this.#window.read(afterN, options)
  }

  async position(topics?: readonly string[]): Promise<LogRange> {
    return this.#window.range(topics)
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

  trim(): void {
    const now = this.#now()
    this.#window.trim(now)
    this.#onceKeys.trim(now)
  }

  #refuse({ epoch }: AppendOptions = {}): void {
    if (this.#closed) throw new LogClosedError(this.name)
    if (epoch !== undefined && epoch < this.#epoch) throw new StaleEpochError(this.name, epoch, this.#epoch)
  }

  #change({ attributes = {}, epoch = this.#epoch }: AppendOptions = {}): void {
    this.#epoch = epoch
    for (const [key, value] of Object.entries(attributes)) {
      if (value === null) this.#attributes.delete(key)
      else this.#attributes.set(key, value)
    }
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
