import type { Cursor, Position, Topic } from '@tributary/protocol'
import {
  DEFAULT_PAGE_LIMIT,
  type LogEntry,
  type Page,
  type ReadOptions,
  type Retention,
  type StartingPoint,
} from './event-log.ts'
import { TopicIndex } from './topic-index.ts'

/** How long it is remembered that a topic was trimmed after its last entry went. */
const TRIM_MEMORY_MS = 86_400_000
/** Trimmed and empty topics that are remembered at most; past it the gap is told to more readers than need be. */
const MAX_EMPTY_TOPICS = 100_000

/** Everything of a log that is not under a topic of an audience. */
const NO_TOPIC: readonly Topic[] = ['']

export interface LogWindowOptions {
  /** When the log began: a cursor from before is of another log. */
  readonly openedMs: number
  readonly retention: (topic: Topic) => Retention
}

/** The part of a log that is held in memory: its entries by topic, found by number or time. */
export class LogWindow {
  readonly #topics = new Map<Topic, TopicIndex>()
  readonly #retention: (topic: Topic) => Retention
  readonly #zero: Position
  #head: Position
  // The newest trimmed entry of topics that are no longer remembered one by one.
  #forgotten: Position | undefined

  constructor({ openedMs, retention }: LogWindowOptions) {
    this.#zero = { ms: openedMs, n: 0 }
    this.#head = this.#zero
    this.#retention = retention
  }

  get head(): Position {
    return this.#head
  }

  /** The topics that hold or remember something. */
  get topicCount(): number {
    return this.#topics.size
  }

  /** Entries come in order, each higher than the one before. */
  add(entry: LogEntry, nowMs: number): void {
    this.#head = entry.position
    for (const topic of entry.topics.length === 0 ? NO_TOPIC : entry.topics) {
      let index = this.#topics.get(topic)
      if (index === undefined) {
        index = new TopicIndex(topic, this.#retention(topic))
        this.#topics.set(topic, index)
      }
      index.add(entry, nowMs)
    }
  }

  trim(nowMs: number): void {
    let empty = 0
    for (const index of this.#topics.values()) {
      index.trim(nowMs)
      if (index.size > 0) continue
      const trimmed = index.trimmedUpTo
      const remembered =
        trimmed !== undefined && trimmed.ms >= nowMs - TRIM_MEMORY_MS && ++empty <= MAX_EMPTY_TOPICS
      if (!remembered) this.#forget(index)
    }
  }

  #forget(index: TopicIndex): void {
    this.#topics.delete(index.topic)
    const trimmed = index.trimmedUpTo
    if (trimmed !== undefined && trimmed.n > (this.#forgotten?.n ?? 0)) this.#forgotten = trimmed
  }

  read(afterN: number, { topics, limit = DEFAULT_PAGE_LIMIT }: ReadOptions = {}): Page {
    const runs = this.#select(topics)
      .map((index) => ({ index, next: index.indexAfter(afterN) }))
      .filter(({ index, next }) => next < index.size)
    const entries: LogEntry[] = []
    // A merge of the topics' lists by number; an entry under several of them is taken once.
    while (runs.length > 0 && entries.length < limit) {
      let lowest: LogEntry | undefined
      for (const { index, next } of runs) {
        const entry = index.at(next)
        if (lowest === undefined || entry.position.n < lowest.position.n) lowest = entry
      }
      if (lowest === undefined) break
      entries.push(lowest)
      for (let i = runs.length - 1; i >= 0; i--) {
        const run = runs[i]
        if (run === undefined || run.index.at(run.next) !== lowest) continue
        run.next += 1
        if (run.next >= run.index.size) runs.splice(i, 1)
      }
    }
    return { entries, hasMore: runs.length > 0 }
  }

  locate(cursor: Cursor, topics?: readonly Topic[]): StartingPoint {
    const selected = this.#select(topics)
    const trimmed = this.#trimmedUpTo(selected)
    if (cursor.kind === 'time') {
      const after = this.#lastUpTo(cursor.ms, selected)
      // 0 asks for whatever there is: what is gone is not missed.
      const lost = cursor.ms > 0 && trimmed.n > 0 && trimmed.ms > cursor.ms
      if (after.n < trimmed.n) return lost ? { after: trimmed, gap: 'expired' } : { after: trimmed }
      return { after }
    }
    if (cursor.n > this.#head.n) return { after: trimmed, gap: 'ahead' }
    if (this.#isOfAnotherLog(cursor)) return { after: trimmed, gap: 'log_lost' }
    if (cursor.n < trimmed.n) return { after: trimmed, gap: 'expired' }
    return { after: { ms: cursor.ms, n: cursor.n } }
  }

  #select(topics: readonly Topic[] | undefined): TopicIndex[] {
    if (topics === undefined) return [...this.#topics.values()]
    return topics.flatMap((topic) => this.#topics.get(topic) ?? [])
  }

  /** The newest position that is gone for a reader of these topics. */
  #trimmedUpTo(selected: readonly TopicIndex[]): Position {
    let newest = this.#forgotten ?? this.#zero
    for (const { trimmedUpTo } of selected) if (trimmedUpTo && trimmedUpTo.n > newest.n) newest = trimmedUpTo
    return newest
  }

  /** The newest position, over these topics, that is not later than `ms`. */
  #lastUpTo(ms: number, selected: readonly TopicIndex[]): Position {
    let newest = this.#zero
    for (const index of selected) {
      const next = index.indexLaterThan(ms)
      if (next === 0) continue
      const { position } = index.at(next - 1)
      if (position.n > newest.n) newest = position
    }
    return newest
  }

  /** Times rise with the numbers, so a cursor of this log fits between its neighbours. */
  #isOfAnotherLog({ ms, n }: Position): boolean {
    // Before the first event of a log that was named by its run, not by its time.
    if (n === 0 && ms === 0) return false
    if (ms < this.#zero.ms || ms > this.#head.ms) return true
    if (n === 0) return ms !== this.#zero.ms
    if (n === this.#head.n) return ms !== this.#head.ms
    for (const index of this.#topics.values()) {
      const next = index.indexAfter(n)
      if (next < index.size && index.at(next).position.ms < ms) return true
      if (next === 0) continue
      const { position } = index.at(next - 1)
      if (position.n === n ? position.ms !== ms : position.ms > ms) return true
    }
    return false
  }
}
