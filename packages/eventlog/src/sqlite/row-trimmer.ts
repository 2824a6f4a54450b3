import type { Position, Topic } from '@tributary/protocol'
import type { LogEntry } from '../event-log.ts'
import { dataBytes } from '../kept-bytes.ts'
import { MAX_EMPTY_TOPICS, NO_TOPIC, TRIM_MEMORY_MS } from '../log-window.ts'
import { topicsOf } from './event-row.ts'
import type { LogRows } from './log-rows.ts'
import { integerOf, positionIn, positionOf, type Row, textOf } from './row.ts'
import type { Statements } from './statements.ts'
import { placeOf, type StoredTopic, type StoredTopics, type TopicPlace } from './stored-topics.ts'

/** Rows that one transaction deletes, so that nobody waits long for it. */
const SLICE = 250
/** What that writes, roughly. */
export const SLICE_BYTES = 50_000

/** A transaction's work. Answers how many bytes it wrote, roughly. */
export type Slice = () => number

export interface RowTrimmerOptions {
  readonly sql: Statements
  readonly log: number
  readonly rows: LogRows
  readonly head: () => Position
  /** Bytes of data that are kept. Default: no bound. */
  readonly maxBytes: number | undefined
  /** Told of what is trimmed as there is too much of it. */
  readonly onTrimmed: (topic: Topic, position: Position) => void
  /** Told up to where it is no more remembered what was trimmed of which topic. */
  readonly onLost: (position: Position) => void
}

/** Deletes the rows of one log that are trimmed, in slices. */
export class RowTrimmer {
  readonly #options: RowTrimmerOptions
  // By age: up to which number the log was looked through for topics that are kept so long.
  readonly #lookedThroughN = new Map<number, number>()
  #savedHeadN = 0
  // Of the data that is kept; not known before it is counted, which is done where it is bounded.
  #bytes: number | undefined

  constructor(options: RowTrimmerOptions) {
    this.#options = options
  }

  *slices(nowMs: number): Generator<Slice> {
    const { topics, ageCuts } = this.#options.rows
    if (topics === undefined) yield* this.#ofRun()
    else {
      for (const maxAgeMs of ageCuts.ages) yield* this.#byAge(topics, maxAgeMs)
      yield* this.#byCount(topics)
    }
    yield* this.#byBytes()
    if (topics !== undefined) yield* this.#ofEmptyTopics(topics, nowMs)
  }

  /** Takes note of what was appended. */
  onAppended(entries: readonly LogEntry[]): void {
    if (this.#bytes === undefined) return
    for (const { event } of entries) this.#bytes += dataBytes(event.json)
  }

  *#ofRun(): Generator<Slice> {
    const { sql, log, rows, head } = this.#options
    const end = rows.trimmedUpTo(head())
    while (rows.deletedUpTo.n < end.n) {
      yield () => {
        const last = positionIn(sql.of('oldestUpTo').get(log, end.n, SLICE - 1)) ?? end
        this.#saveHead()
        this.#deleteEventsUpTo(last)
        rows.deletedUpTo = last
        sql.of('setTrimmed').run(log, last.ms, last.n)
        return SLICE_BYTES
      }
    }
  }

  /** Looks through the log in its order, once for all topics that are kept equally long. */
  *#byAge(topics: StoredTopics, maxAgeMs: number): Generator<Slice> {
    const endN = this.#options.rows.ageCuts.of(maxAgeMs)?.n ?? 0
    for (;;) {
      const fromN = this.#lookedThroughN.get(maxAgeMs) ?? 0
      if (fromN >= endN) return
      yield () => {
        const lastN = this.#deleteAged(topics, maxAgeMs, fromN, endN)
        this.#lookedThroughN.set(maxAgeMs, lastN)
        return SLICE_BYTES
      }
    }
  }

  #deleteAged(topics: StoredTopics, maxAgeMs: number, fromN: number, endN: number): number {
    const { sql, log } = this.#options
    const rows: readonly Row[] = sql.of('audiencesAfter').all(log, fromN, endN, SLICE)
    const last = rows.at(-1)
    if (last === undefined) return endN
    const lastN = integerOf(last, 'n')
    const aged = new Set<StoredTopic>()
    const numbers: number[] = []
    for (const row of rows) {
      const n = integerOf(row, 'n')
      const here = topicsOf(row)
        .flatMap((name) => topics.find(name) ?? [])
        .filter((topic) => topic.retention.maxAgeMs === maxAgeMs && topic.deletedUpTo.n < n)
      for (const topic of here) aged.add(topic)
      if (here.length > 0) numbers.push(n)
    }
    this.#saveHead()
    for (const topic of aged) {
      const row = sql.of('topicUpTo').get(topic.id, lastN)
      if (row !== undefined) this.#deleteOfTopic(topic, placeOf(row))
    }
    for (const n of numbers) this.#deleteEvent(n)
    return rows.length < SLICE ? endN : lastN
  }

  *#byCount(topics: StoredTopics): Generator<Slice> {
    const waiting: Topic[] = [...topics.takeOverfull()]
    while (waiting.length > 0) {
      yield () => {
        this.#saveHead()
        for (let left = SLICE; left > 0; ) {
          const name = waiting.at(-1)
          const topic = name === undefined ? undefined : topics.find(name)
          const deleted = topic === undefined ? 0 : this.#deleteExcess(topics, topic, left)
          if (deleted < left) waiting.pop()
          // A topic without excess costs something, too.
          left -= deleted + 1
          if (waiting.length === 0) break
        }
        return SLICE_BYTES
      }
    }
  }

  /** The oldest first, whatever their topics. */
  *#byBytes(): Generator<Slice> {
    const { sql, log, maxBytes } = this.#options
    if (maxBytes === undefined) return
    this.#bytes ??= integerOf(sql.of('countBytes').get(log) ?? {}, 'bytes')
    while (this.#bytes > maxBytes) {
      const excess = this.#bytes - maxBytes
      yield () => {
        this.#deleteBytes(excess)
        return SLICE_BYTES
      }
    }
  }

  #deleteBytes(excess: number): void {
    const { sql, log, rows, onTrimmed } = this.#options
    let last: Position | undefined
    let bytes = 0
    const names = new Set<Topic>()
    for (const row of sql.of('oldestEvents').iterate(log, SLICE)) {
      if (bytes >= excess) break
      last = positionOf(row)
      bytes += integerOf(row, 'bytes')
      for (const name of topicsOf(row)) names.add(name)
    }
    // Nothing is left: then nothing is kept.
    if (last === undefined) this.#bytes = 0
    else {
      this.#saveHead()
      this.#deleteEventsUpTo(last)
      if (rows.topics === undefined) {
        rows.deletedUpTo = last
        sql.of('setTrimmed').run(log, last.ms, last.n)
        onTrimmed(NO_TOPIC, last)
      }
      for (const name of names) {
        const topic = rows.topics?.find(name)
        const row = topic === undefined ? undefined : sql.of('topicUpTo').get(topic.id, last.n)
        if (topic === undefined || row === undefined) continue
        this.#deleteOfTopic(topic, placeOf(row))
        onTrimmed(name, topic.deletedUpTo)
      }
    }
  }

  #deleteEventsUpTo({ n }: Position): void {
    const { sql, log } = this.#options
    if (this.#bytes !== undefined) {
      this.#bytes -= integerOf(sql.of('countBytesUpTo').get(log, n) ?? {}, 'bytes')
    }
    sql.of('deleteEventsUpTo').run(log, n)
  }

  #deleteExcess(topics: StoredTopics, topic: StoredTopic, limit: number): number {
    const { sql } = this.#options
    const end = topics.trimmedUpTo(topic)
    const rows: readonly Row[] = sql.of('topicOldest').all(topic.id, end.n, limit)
    const last = rows.at(-1)
    if (last === undefined) return 0
    this.#deleteOfTopic(topic, placeOf(last))
    for (const row of rows) this.#deleteEvent(integerOf(row, 'n'))
    return rows.length
  }

  #deleteOfTopic(topic: StoredTopic, upTo: TopicPlace): void {
    const { sql } = this.#options
    sql.of('deleteTopicUpTo').run(topic.id, upTo.n)
    topic.deletedUpTo = upTo
    if (topic.trimmedUpTo.n < upTo.n) topic.trimmedUpTo = upTo
    topic.empty = topic.lastSeq === upTo.seq
    sql.of('trimTopic').run(topic.id, upTo.ms, upTo.n, upTo.seq, topic.empty ? 1 : 0)
  }

  /** Deletes an event that was deleted of a topic, unless another still has it. */
  #deleteEvent(n: number): void {
    const { sql, log, rows } = this.#options
    if (this.#isDeleted(sql.of('deleteEventOfOneTopic').get(log, n))) return
    const row: Row | undefined = sql.of('audienceOf').get(log, n)
    if (row === undefined) return
    const isKept = topicsOf(row).some((name) => {
      const topic = rows.topics?.find(name)
      return topic !== undefined && sql.of('isInTopic').get(topic.id, n) !== undefined
    })
    if (!isKept) this.#isDeleted(sql.of('deleteEvent').get(log, n))
  }

  #isDeleted(row: Row | undefined): boolean {
    if (row !== undefined && this.#bytes !== undefined) this.#bytes -= integerOf(row, 'bytes')
    return row !== undefined
  }

  /** Gives up the memory of topics that hold nothing: of those that have held nothing for long, or are too many. */
  *#ofEmptyTopics(topics: StoredTopics, nowMs: number): Generator<Slice> {
    const { sql, log, onLost } = this.#options
    const count = integerOf(sql.of('countEmptyTopics').get(log) ?? {}, 'count')
    for (let excess = count - MAX_EMPTY_TOPICS; ; excess -= SLICE) {
      const rows: readonly Row[] = sql.of('emptyTopics').all(log, SLICE)
      const given = rows.filter((row, i) => i < excess || integerOf(row, 'ms') < nowMs - TRIM_MEMORY_MS)
      const last = given.at(-1)
      if (last === undefined) return
      yield () => {
        const { ms, n } = positionOf(last)
        for (const row of given) {
          sql.of('deleteTopic').run(integerOf(row, 'id'))
          topics.forget(textOf(row, 'name'))
        }
        sql.of('setLost').run(log, ms, n)
        onLost({ ms, n })
        return SLICE_BYTES
      }
      if (given.length < SLICE) return
    }
  }

  /** The newest row may go, and what its number was is remembered. */
  #saveHead(): void {
    const { sql, log, head } = this.#options
    const { ms, n } = head()
    if (n <= this.#savedHeadN) return
    sql.of('setHead').run(log, ms, n)
    this.#savedHeadN = n
  }

  /** After a slice that came to nothing. */
  rollBack(): void {
    this.#savedHeadN = 0
    this.#bytes = undefined
    this.#lookedThroughN.clear()
    this.#options.rows.topics?.forgetAll()
  }
}
