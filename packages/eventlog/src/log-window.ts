import type { Cursor, GapReason, Position, Topic } from '@tributary/protocol'
import {
  DEFAULT_PAGE_LIMIT,
  type LogEntry,
  type Page,
  type ReadOptions,
  type Retention,
  type StartingPoint,
} from './event-log.ts'
import { PositionTrail } from './position-trail.ts'
import { TopicIndex } from './topic-index.ts'

/** How long it is remembered that a topic was trimmed after its last entry went. */
const TRIM_MEMORY_MS = 86_400_000
/** Trimmed and empty topics that are remembered at most; past it the gap is told to more readers than need be. */
const MAX_EMPTY_TOPICS = 100_000

/** Everything of a log that is not under a topic of an audience. */
const NO_TOPIC: readonly Topic[] = ['']

export interface LogWindowOptions {
  /** Whose log it is, where it is a run's: a cursor that names another is of another log. */
  readonly runId?: string
  /** When the log began: a cursor from before is of another log. */
  readonly openedMs: number
  readonly retention: (topic: Topic) => Retention
}

/** The part of a log that is held in memory: its entries by topic, found by number or time. */
export class LogWindow {
  readonly #topics = new Map<Topic, TopicIndex>()
  readonly #runId: string | undefined
  readonly #retention: (topic: Topic) => Retention
  readonly #trail = new PositionTrail()
  readonly #zero: Position
  #head: Position
  // Up to where something is gone that may have been under any topic.
  #forgotten: Position | undefined

  constructor({ runId, openedMs, retention }: LogWindowOptions) {
    this.#runId = runId
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
    // Without topics, the one index of the log knows them all.
    if (entry.topics.length > 0) this.#trail.add(entry.position)
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
    const empty: TopicIndex[] = []
    for (const index of this.#topics.values()) {
      index.trim(nowMs)
      if (index.size > 0) continue
      if ((index.trimmedUpTo?.ms ?? 0) < nowMs - TRIM_MEMORY_MS) this.#forget(index)
      else empty.push(index)
    }
    if (empty.length <= MAX_EMPTY_TOPICS) return
    // The oldest first: the later a topic was trimmed, the more readers are told of a gap that is not theirs.
    empty.sort((a, b) => (b.trimmedUpTo?.n ?? 0) - (a.trimmedUpTo?.n ?? 0))
    for (const index of empty.slice(MAX_EMPTY_TOPICS)) this.#forget(index)
  }

  /** Notes that everything up to here is gone, whatever its topics were. */
  lose(position: Position): void {
    if (position.n > (this.#forgotten?.n ?? 0)) this.#forgotten = position
  }

  #forget(index: TopicIndex): void {
    this.#topics.delete(index.topic)
    if (index.trimmedUpTo !== undefined) this.lose(index.trimmedUpTo)
  }

  read(afterN: number, { topics, limit = DEFAULT_PAGE_LIMIT }: ReadOptions = {}): Page {
    const selected = this.#select(topics)
    const lostUpTo = this.#lostUpTo(selected)
    const runs = selected
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
    const page = { entries, hasMore: runs.length > 0 }
    return lostUpTo.n === 0 ? page : { ...page, lostUpTo }
  }

  locate(cursor: Cursor, topics?: readonly Topic[]): StartingPoint {
    const selected = this.#select(topics)
    const lostUpTo = this.#lostUpTo(selected)
    if (cursor.kind === 'time') {
      // 0 asks for whatever there is: what is gone is not missed.
      const misses = cursor.ms > 0 && lostUpTo.n > 0 && lostUpTo.ms > cursor.ms
      return this.#goOn(this.#lastUpTo(cursor.ms, selected), selected, misses ? 'expired' : undefined)
    }
    const { runId, ms, n } = cursor
    if (runId !== undefined && runId !== this.#runId) return this.#goOn(this.#zero, selected, 'log_lost')
    if (n > this.#head.n) return this.#goOn(this.#zero, selected, 'ahead')
    if (this.#isOfAnotherLog({ ms, n }, selected)) return this.#goOn(this.#zero, selected, 'log_lost')
    return this.#goOn({ ms, n }, selected, n < lostUpTo.n ? 'expired' : undefined)
  }

  /** Passes over what is gone, unless something that is kept would be passed over with it. */
  #goOn(from: Position, selected: readonly TopicIndex[], gap: GapReason | undefined): StartingPoint {
    const told = gap === undefined ? {} : { gap }
    const lostUpTo = this.#lostUpTo(selected)
    if (lostUpTo.n <= from.n) return { after: from, ...told }
    for (const index of selected) {
      const next = index.indexAfter(from.n)
      const keepsEarlier = next < index.size && index.at(next).position.n <= lostUpTo.n
      if (keepsEarlier) return { after: from, lostUpTo, ...told }
    }
    return { after: lostUpTo, ...told }
  }

  #select(topics: readonly Topic[] | undefined): TopicIndex[] {
    if (topics === undefined) return [...this.#topics.values()]
    return topics.flatMap((topic) => this.#topics.get(topic) ?? [])
  }

  /** The newest position that is gone for a reader of these topics. */
  #lostUpTo(selected: readonly TopicIndex[]): Position {
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
  #isOfAnotherLog(cursor: Position, selected: readonly TopicIndex[]): boolean {
    const { ms, n } = cursor
    // Before the first event of a log that was named by its run, not by its time.
    if (n === 0 && ms === 0) return false
    if (ms < this.#zero.ms || ms > this.#head.ms) return true
    if (n === 0) return ms !== this.#zero.ms
    if (n === this.#head.n) return ms !== this.#head.ms
    return !this.#trail.fits(cursor) || selected.some((index) => !index.fits(cursor))
  }
}
