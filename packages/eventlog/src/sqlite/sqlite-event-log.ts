import { type Cursor, formatEventId, type Position, type Topic } from '@tributary/protocol'
import { ChangeListeners } from '../change-listeners.ts'
import { locate, rangeOf } from '../cursor-location.ts'
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
  Retention,
  StartingPoint,
} from '../event-log.ts'
import { type Following, NEVER_REWINDS, NOTHING_TO_FOLLOW } from '../following.ts'
import { LogClosedError } from '../log-error.ts'
import { NO_TOPIC } from '../log-window.ts'
import { RecentTail } from '../recent-tail.ts'
import { type AppendTarget, AppendWrite } from './append-write.ts'
import { entryOf, rowDraft } from './event-row.ts'
import { attributesOf, type LogRecord } from './log-record.ts'
import { LogRows } from './log-rows.ts'
import { type AppendRequest, type LogState, LogWriter, type Written } from './log-writer.ts'
import type { ReadTurns } from './read-turns.ts'
import { positionOf, type Row } from './row.ts'
import { RowTrimmer } from './row-trimmer.ts'
import type { Statements } from './statements.ts'
import type { WriteQueue } from './write-queue.ts'

/** What the logs of a store share. */
export interface LogStore {
  readonly sql: Statements
  readonly writes: WriteQueue
  readonly reads: ReadTurns
  readonly now: () => number
  /** What an error of the engine is answered as. */
  readonly failure: (error: unknown) => Error
  readonly tailMaxEvents: number
  readonly tailMaxBytes: number
  /** Told of rows that were appended, for they may be too many. */
  readonly onAppended: (entries: readonly LogEntry[]) => void
  readonly onClosed: (log: SqliteEventLog) => void
}

/** A log in a database file. The newest of it is in memory, too, where it is read from as long as it can be. */
export class SqliteEventLog implements EventLog {
  readonly id: number
  readonly name: string
  readonly trimmer: RowTrimmer
  readonly #rows: LogRows
  readonly #record: LogRecord
  readonly #store: LogStore
  readonly #retention: (topic: Topic) => Retention
  readonly #target: AppendTarget
  readonly #listeners = new EntryListeners()
  readonly #attributeListeners = new ChangeListeners()
  readonly #ephemeralListeners = new EphemeralListeners()
  readonly #attributes: Map<string, string>
  // As those who read are told; the writer is ahead of it within a transaction.
  #state: LogState
  #dropped = false
  #tail: RecentTail

  constructor(record: LogRecord, { retention, maxBytes }: OpenOptions, store: LogStore) {
    const { id, name, head, closed, epoch } = record
    const { sql, now } = store
    const idOf = (position: Position) => this.idOf(position)
    this.id = id
    this.name = name
    this.#record = record
    this.#store = store
    this.#retention = retention
    this.#state = { head, closed, epoch }
    this.#attributes = attributesOf(sql, id)
    this.#rows = new LogRows({ sql, record, retention, nowMs: now(), idOf })
    this.trimmer = new RowTrimmer({
      sql,
      log: id,
      rows: this.#rows,
      head: () => this.head,
      maxBytes,
      onTrimmed: (topic, position) => this.#tail.trimTopic(topic, position),
      onLost: (position) => this.#lose(position),
    })
    const { topics } = this.#rows
    const writer = new LogWriter({ log: id, name, topics, state: this.#state, sql, now, idOf })
    this.#target = {
      writer,
      apply: (request, written) => this.#apply(request, written),
      rollBack: () => writer.rollBack(this.#state),
    }
    this.#tail = closed ? this.#newTail(head) : this.#loadedTail()
  }

  get head(): Position {
    return this.#state.head
  }

  get closed(): boolean {
    return this.#state.closed
  }

  get attributes(): ReadonlyMap<string, string> {
    return this.#attributes
  }

  idOf({ ms, n }: Position): string {
    const { runId } = this.#record
    return runId === undefined ? formatEventId({ ms, n }) : formatEventId({ runId, ms, n })
  }

  onAttributes(listener: () => void): () => void {
    return this.#attributeListeners.add(listener)
  }

  // Not `async`, as each would make two promises more of every event.
  append(batch: readonly Append[], options?: AppendOptions): Promise<readonly LogEntry[]> {
    return this.#write(batch, { options }, entriesOf)
  }

  appendOnce(batch: readonly Append[], once: OnceKey): Promise<OnceAnswer> {
    return this.#write(batch, { once }, onceAnswerOf)
  }

  close(terminal: Append, options?: AppendOptions): Promise<LogEntry> {
    return this.#write([terminal], { options, closes: true }, terminalOf)
  }

  async tell(telling: Telling): Promise<Told> {
    if (this.closed || this.#dropped) throw new LogClosedError(this.name)
    return this.#ephemeralListeners.tellAll(telling)
  }

  onTold(listener: (event: EphemeralEvent) => void): () => void {
    return this.#ephemeralListeners.add(listener)
  }

  async locate(cursor: Cursor, topics?: readonly Topic[]): Promise<StartingPoint> {
    return this.#tail.locate(cursor, topics) ?? (await this.#read(() => locate(this.#view(topics), cursor)))
  }

  async read(afterN: number, options: ReadOptions = {}): Promise<Page> {
    return (
      this.#tail.read(afterN, options) ??
      (await this.#read(() => this.#rows.read(afterN, this.#view(options.topics), options)))
    )
  }

  async position(topics?: readonly Topic[]): Promise<LogRange> {
    return await this.#read(() => rangeOf(this.#view(topics), topics === undefined))
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

  /** Trims what is read from here on. The rows are deleted after that, in slices. */
  trim(): void {
    const nowMs = this.#store.now()
    this.#tail.window.trim(nowMs)
    this.#rows.ageCuts.trim(nowMs)
  }

  /** Lets go of what is in memory of a log that has ended; it is read from the disk then. */
  release(): void {
    this.#tail = this.#newTail(this.head)
  }

  /** Refuses whatever comes, as the log is dropped. */
  drop(): void {
    this.#dropped = true
    this.#target.writer.drop()
    this.release()
  }

  #lose(position: Position): void {
    this.#rows.lose(position)
    this.#tail.window.lose(position)
  }

  #write<T>(
    batch: readonly Append[],
    request: Omit<AppendRequest, 'drafts'>,
    answer: (written: Written) => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.closed || this.#dropped) throw new LogClosedError(this.name)
      const drafted = { ...request, drafts: batch.map(rowDraft) }
      this.#store.writes.add(new AppendWrite(this.#target, drafted, answer, resolve, reject))
    })
  }

  /** Takes note of what is stored now, and tells it. */
  #apply({ options, closes = false }: AppendRequest, { entries, known, state }: Written): void {
    if (known !== undefined) return
    if (options?.attributes !== undefined) {
      for (const [key, value] of Object.entries(options.attributes)) {
        if (value === null) this.#attributes.delete(key)
        else this.#attributes.set(key, value)
      }
    }
    this.#state = state
    for (const entry of entries) this.#tail.add(entry, entry.position.ms)
    this.trimmer.onAppended(entries)
    this.#store.onAppended(entries)
    try {
      this.#listeners.tell(entries)
    } finally {
      if (options?.attributes !== undefined) this.#attributeListeners.tell()
      if (closes) {
        this.#tail.clearFrames()
        this.#store.onClosed(this)
      }
    }
  }

  #view(topics: readonly Topic[] | undefined) {
    return this.#rows.view(this.head, this.#tail.window, topics)
  }

  async #read<T>(read: () => T): Promise<T> {
    return await this.#store.reads.run(() => {
      try {
        return read()
      } catch (error) {
        throw this.#store.failure(error)
      }
    })
  }

  #newTail(base: Position): RecentTail {
    const { runId, zero, head } = { ...this.#record, head: this.head }
    return new RecentTail({
      ...(runId === undefined ? {} : { runId }),
      openedMs: zero.ms,
      base,
      head,
      retention: this.#retention,
      maxEvents: this.#store.tailMaxEvents,
      maxBytes: this.#store.tailMaxBytes,
    })
  }

  /** The newest rows, and what is known to be trimmed among them. */
  #loadedTail(): RecentTail {
    const { sql, tailMaxEvents, tailMaxBytes, now } = this.#store
    const newest: LogEntry[] = []
    let base: Position | undefined
    let bytes = 0
    for (const row of sql.of('newestEvents').iterate(this.id, tailMaxEvents + 1)) {
      const entry = entryOf(row satisfies Row, (position) => this.idOf(position))
      bytes += entry.event.json.length
      base = positionOf(row)
      if (newest.length === tailMaxEvents || bytes > tailMaxBytes) break
      newest.push(entry)
    }
    // Where the first there ever was is among them, there is nothing before it.
    const oldest = newest.at(-1)
    if (oldest?.position.n === 1 || this.head.n === 0) base = this.#record.zero
    else if (oldest !== undefined && base?.n === oldest.position.n) newest.pop()
    const tail = this.#newTail(base ?? this.head)
    for (const entry of newest.toReversed()) tail.add(entry, now())
    if (this.#rows.lost !== undefined) tail.window.lose(this.#rows.lost)
    tail.trimTopic(NO_TOPIC, this.#rows.deletedUpTo)
    for (const { name, position } of this.#rows.topics?.deletedUpTo() ?? []) tail.trimTopic(name, position)
    return tail
  }
}

const entriesOf = ({ entries }: Written): readonly LogEntry[] => entries

function onceAnswerOf({ entries, known }: Written): OnceAnswer {
  return known === undefined ? { replayed: false, entries } : { replayed: true, first: known.first }
}

function terminalOf({ entries: [entry] }: Written): LogEntry {
  if (entry === undefined) throw new Error('a batch of one is empty')
  return entry
}
