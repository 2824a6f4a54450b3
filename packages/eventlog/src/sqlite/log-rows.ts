import type { Position, Topic } from '@tributary/protocol'
import { type LogView, lostUpTo } from '../cursor-location.ts'
import type { LogEntry, Page, ReadOptions, Retention } from '../event-log.ts'
import { indexedTopics, type LogWindow, NO_TOPIC } from '../log-window.ts'
import { PageEntries } from '../page-entries.ts'
import { AgeCuts, lastUntil } from './age-cuts.ts'
import { entryOf } from './event-row.ts'
import type { LogRecord } from './log-record.ts'
import { integerOf, positionIn, type Row } from './row.ts'
import { RowsView } from './rows-view.ts'
import type { Statements } from './statements.ts'
import { type StoredTopic, StoredTopics } from './stored-topics.ts'

/** Topics that one statement selects by; more of them take several. */
const TOPICS_A_STATEMENT = 32

export interface LogRowsOptions {
  readonly sql: Statements
  readonly record: LogRecord
  readonly retention: (topic: Topic) => Retention
  readonly nowMs: number
  readonly idOf: (position: Position) => string
}

/** A log as it stands in the database, trimmed as it is meant to be, whatever is still to be deleted. */
export class LogRows {
  readonly ageCuts: AgeCuts
  /** Absent in the log of a run, which is read as a whole. */
  readonly topics: StoredTopics | undefined
  readonly #sql: Statements
  readonly #record: LogRecord
  readonly #retention: Retention
  readonly #idOf: (position: Position) => string
  #lost: Position | undefined
  /** Up to where the rows of a run's log are deleted. */
  deletedUpTo: Position

  constructor({ sql, record, retention, nowMs, idOf }: LogRowsOptions) {
    this.#sql = sql
    this.#record = record
    this.#retention = retention(NO_TOPIC)
    this.#idOf = idOf
    this.#lost = record.lost
    this.deletedUpTo = record.trimmedUpTo
    this.ageCuts = new AgeCuts(sql, record.id, nowMs)
    this.topics =
      record.runId === undefined ? new StoredTopics(sql, record.id, retention, this.ageCuts) : undefined
    if (this.topics === undefined) this.ageCuts.of(this.#retention.maxAgeMs)
  }

  /** Up to where something is gone that may have been under any topic. */
  get lost(): Position | undefined {
    return this.#lost
  }

  lose(position: Position): void {
    if (position.n > (this.#lost?.n ?? 0)) this.#lost = position
  }

  /** Up to where a run's log is trimmed. */
  trimmedUpTo(head: Position): Position {
    const cut = this.ageCuts.of(this.#retention.maxAgeMs)
    const n = Math.max(head.n - this.#retention.maxEvents, cut?.n ?? 0)
    if (n <= this.deletedUpTo.n) return this.deletedUpTo
    return positionIn(this.#sql.of('placeUpTo').get(this.#record.id, n)) ?? this.deletedUpTo
  }

  /** What a cursor is judged by. `recent` may know of more that was trimmed. */
  view(head: Position, recent: LogWindow, topics?: readonly Topic[]): LogView {
    const { id, runId, zero } = this.#record
    const sql = this.#sql
    const until = new Map<number, number>()
    const numberUntil = (ms: number) => {
      const n = until.get(ms) ?? lastUntil(sql, id, ms)?.n ?? 0
      until.set(ms, n)
      return n
    }
    const viewOf = (of: 'topic' | 'log', rowsId: number, name: Topic, trimmed: Position) => {
      const trimmedUpTo = later(trimmed, recent.trimmedUpTo(name))
      return new RowsView({ sql, of, id: rowsId, trimmedUpTo, numberUntil })
    }
    const stored = this.topics
    const views =
      stored === undefined
        ? topics === undefined || topics.includes(NO_TOPIC)
          ? [viewOf('log', id, NO_TOPIC, this.trimmedUpTo(head))]
          : []
        : selected(stored, topics).map((topic) =>
            viewOf('topic', topic.id, topic.name, stored.trimmedUpTo(topic)),
          )
    const fits = ({ ms, n }: Position) => {
      const next = positionIn(sql.of('placeAfter').get(id, n))
      if (next !== undefined && next.ms < ms) return false
      const before = positionIn(sql.of('placeUpTo').get(id, n))
      return before === undefined || (before.n === n ? before.ms === ms : before.ms <= ms)
    }
    return { runId, zero, head, lost: this.#lost, topics: views, fits }
  }

  /** The entries after `n`, as `view` has them. */
  read(afterN: number, view: LogView, options: ReadOptions): Page {
    const { topics } = options
    const taken = new PageEntries(options)
    if (this.topics === undefined) this.#readRun(afterN, view, taken)
    else if (topics === undefined) this.#readAll(afterN, taken)
    else this.#readTopics(this.topics, afterN, topics, taken)
    const gone = lostUpTo(view)
    const page = { entries: taken.entries, hasMore: taken.hasMore }
    return gone.n <= afterN ? page : { ...page, lostUpTo: gone }
  }

  #readRun(afterN: number, { topics: [view] }: LogView, taken: PageEntries): void {
    if (view === undefined) return
    const fromN = Math.max(afterN, view.trimmedUpTo?.n ?? 0)
    for (const entry of this.#entriesAfter(fromN, taken.limit + 1)) {
      if (!taken.take(entry)) return
    }
  }

  /** Row by row, as a page may be full long before so many. */
  *#entriesAfter(n: number, count: number): Generator<LogEntry> {
    const rows: Iterable<Row> = this.#sql.of('eventsAfter').iterate(this.#record.id, n, count)
    for (const row of rows) yield entryOf(row, this.#idOf)
  }

  #readTopics(stored: StoredTopics, afterN: number, topics: readonly Topic[], taken: PageEntries): void {
    // One more than is asked for says whether there are more.
    const count = taken.limit + 1
    const ranges = selected(stored, topics).map((topic) => ({
      id: topic.id,
      fromN: Math.max(afterN, stored.trimmedUpTo(topic).n),
    }))
    const numbers = new Set<number>()
    for (let i = 0; i < ranges.length; i += TOPICS_A_STATEMENT) {
      for (const n of this.#numbers(ranges.slice(i, i + TOPICS_A_STATEMENT), count)) numbers.add(n)
    }
    const ordered = ranges.length > TOPICS_A_STATEMENT ? [...numbers].toSorted((a, b) => a - b) : [...numbers]
    for (const n of ordered) {
      const row: Row | undefined = this.#sql.of('findEvent').get(this.#record.id, n)
      if (row !== undefined && !taken.take(entryOf(row, this.#idOf))) return
    }
  }

  #numbers(ranges: readonly { readonly id: number; readonly fromN: number }[], count: number): number[] {
    const width = 2 ** Math.ceil(Math.log2(Math.max(1, ranges.length)))
    // No topic has the id 0.
    const parameters = Array.from({ length: width }, (_, i) => [ranges[i]?.id ?? 0, ranges[i]?.fromN ?? 0])
    const rows: readonly Row[] = this.#sql.numbersOf(width).all(count, ...parameters.flat())
    return rows.map((row) => integerOf(row, 'n'))
  }

  /** Of a log with topics, whatever one of them keeps. For whoever looks through it, not for readers. */
  #readAll(afterN: number, taken: PageEntries): void {
    for (let fromN = afterN, found = true; found; ) {
      found = false
      for (const entry of this.#entriesAfter(fromN, taken.limit + 1)) {
        fromN = entry.position.n
        found = true
        if (this.#isKept(entry) && !taken.take(entry)) return
      }
    }
  }

  #isKept({ position, topics }: LogEntry): boolean {
    return indexedTopics(topics).some((name) => {
      const topic = this.topics?.find(name)
      return topic !== undefined && (this.topics?.trimmedUpTo(topic).n ?? 0) < position.n
    })
  }
}

function selected(stored: StoredTopics, topics: readonly Topic[] | undefined): readonly StoredTopic[] {
  if (topics === undefined) return [...stored.all()]
  return [...new Set(topics)].flatMap((name) => stored.find(name) ?? [])
}

function later(a: Position, b: Position | undefined): Position | undefined {
  const { ms, n } = b !== undefined && b.n > a.n ? b : a
  return n === 0 ? undefined : { ms, n }
}
