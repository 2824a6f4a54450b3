import type { StatementSync } from 'node:sqlite'
import { type Position, PositionSequence, type Topic } from '@tributary/protocol'
import type { AppendOptions, LogEntry, OnceKey } from '../event-log.ts'
import { placedEntry } from '../log-entry.ts'
import { LogClosedError, OnceConflictError, StaleEpochError } from '../log-error.ts'
import { indexedTopics } from '../log-window.ts'
import type { RowDraft } from './event-row.ts'
import { integerOf, positionOf, type Row, textOf } from './row.ts'
import type { Statements } from './statements.ts'
import type { StoredTopics } from './stored-topics.ts'

const NO_NAMES: readonly Topic[] = []

/** What one call appends. */
export interface AppendRequest {
  readonly drafts: readonly RowDraft[]
  readonly options?: AppendOptions | undefined
  readonly once?: OnceKey | undefined
  /** Whether it is the terminal event. */
  readonly closes?: boolean
}

/** What came of it. */
export interface Written {
  readonly entries: readonly LogEntry[]
  /** Where the log stands then. */
  readonly state: LogState
  /** There where the key was known, and nothing was written. */
  readonly known?: { readonly first: Position | undefined }
}

/** Where a log stands. */
export interface LogState {
  readonly head: Position
  readonly closed: boolean
  readonly epoch: number
}

export interface LogWriterOptions {
  readonly log: number
  readonly name: string
  /** Absent in the log of a run. */
  readonly topics: StoredTopics | undefined
  readonly state: LogState
  readonly sql: Statements
  readonly now: () => number
  readonly idOf: (position: Position) => string
}

/** Writes the appends of one log. Within a transaction it is ahead of what the log tells its readers. */
export class LogWriter {
  readonly #options: LogWriterOptions
  readonly #insertEvent: StatementSync
  readonly #insertTopicEvent: StatementSync
  #state: LogState
  #dropped = false

  constructor(options: LogWriterOptions) {
    this.#options = options
    this.#state = options.state
    // Asked for once, not with every event.
    this.#insertEvent = options.sql.of('insertEvent')
    this.#insertTopicEvent = options.sql.of('insertTopicEvent')
  }

  /** Refuses whatever comes, as the log is dropped. */
  drop(): void {
    this.#dropped = true
  }

  /** To be called within a transaction. Answers an error before anything is written, or else throws the engine's. */
  write({ drafts, options, once, closes = false }: AppendRequest): Written | Error {
    const { sql, log, name, now } = this.#options
    const { head, closed, epoch: current } = this.#state
    if (closed || this.#dropped) return new LogClosedError(name)
    const epoch = options?.epoch ?? current
    if (epoch < current) return new StaleEpochError(name, epoch, current)
    if (once !== undefined) {
      const known = this.#find(once)
      if (known !== undefined) return known
    }
    const positions = new PositionSequence(now, head)
    const entries = drafts.map((draft) => this.#insert(draft, positions.next()))
    if (epoch > current) sql.of('setEpoch').run(log, epoch)
    if (closes) sql.of('setClosed').run(log)
    if (once !== undefined) this.#remember(once, entries[0]?.position)
    if (options?.attributes !== undefined) this.#setAttributes(options.attributes)
    this.#state = { head: entries.at(-1)?.position ?? head, closed: closes, epoch }
    return { entries, state: this.#state }
  }

  #setAttributes(attributes: Readonly<Record<string, string | null>>): void {
    const { sql, log } = this.#options
    for (const [key, value] of Object.entries(attributes)) {
      if (value === null) sql.of('deleteAttribute').run(log, key)
      else sql.of('setAttribute').run(log, key, value)
    }
  }

  /** Goes back to where the log stood before a transaction that came to nothing. */
  rollBack(state: LogState): void {
    this.#state = state
    this.#options.topics?.forgetAll()
  }

  #insert({ entry, metadata, audience }: RowDraft, position: Position): LogEntry {
    const { log, topics, idOf } = this.#options
    const { ms, n } = position
    const { type, source, json } = entry
    const priority = entry.priority === 'normal' ? null : entry.priority
    const names = topics === undefined ? NO_NAMES : indexedTopics(entry.topics)
    this.#insertEvent.run(log, n, ms, names.length, type, source, priority, metadata, audience, json)
    if (topics !== undefined) for (const name of names) this.#insertUnder(topics, name, position)
    return placedEntry(entry, position, idOf(position))
  }

  #insertUnder(topics: StoredTopics, name: Topic, { ms, n }: Position): void {
    const topic = topics.findOrAdd(name)
    if (topic.empty) {
      this.#options.sql.of('refillTopic').run(topic.id)
      topic.empty = false
    }
    topic.lastSeq += 1
    this.#insertTopicEvent.run(topic.id, n, ms, topic.lastSeq)
    topics.noteExcess(topic)
  }

  #find({ key, fingerprint }: OnceKey): Written | Error | undefined {
    const { sql, log, name, now } = this.#options
    const row: Row | undefined = sql.of('findOnce').get(log, key)
    if (row === undefined || integerOf(row, 'expires_ms') <= now()) return undefined
    if (textOf(row, 'fingerprint') !== fingerprint) return new OnceConflictError(name)
    const first = positionOf(row, 'first_')
    return { entries: [], state: this.#state, known: { first: first.n === 0 ? undefined : first } }
  }

  #remember({ key, fingerprint, windowMs }: OnceKey, first: Position | undefined): void {
    const { sql, log, now } = this.#options
    // A window without an end is one that no clock comes to.
    const expiresMs = Math.min(Math.ceil(now() + windowMs), Number.MAX_SAFE_INTEGER)
    sql.of('insertOnce').run(log, key, fingerprint, first?.ms ?? 0, first?.n ?? 0, expiresMs)
  }
}
