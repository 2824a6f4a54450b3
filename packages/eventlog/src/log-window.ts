import type { Cursor, Position, Topic } from '@tributary/protocol'
import { type LogView, locate, lostUpTo, rangeOf } from './cursor-location.ts'
import type { LogEntry, LogRange, Page, ReadOptions, Retention, StartingPoint } from './event-log.ts'
import { KeptBytes } from './kept-bytes.ts'
import { PageEntries } from './page-entries.ts'
import { PositionTrail } from './position-trail.ts'
import { TopicIndex } from './topic-index.ts'

/** How long it is remembered that a topic was trimmed after its last entry went. */
export const TRIM_MEMORY_MS = 86_400_000
/** Trimmed and empty topics that are remembered at most; past it the gap is told to more readers than need be. */
export const MAX_EMPTY_TOPICS = 100_000

/** Everything of a log that is not under a topic of an audience. */
export const NO_TOPIC: Topic = ''
const NO_TOPICS: readonly Topic[] = [NO_TOPIC]

/** The topics that an entry is found by. */
export function indexedTopics(topics: readonly Topic[]): readonly Topic[] {
  return topics.length === 0 ? NO_TOPICS : topics
}

export interface LogWindowOptions {
  /** Whose log it is, where it is a run's: a cursor that names another is of another log. */
  readonly runId?: string
  /** When the log began: a cursor from before is of another log. */
  readonly openedMs: number
  /** Where the log stands, if something was appended before the window. Default: nothing was. */
  readonly head?: Position
  readonly retention: (topic: Topic) => Retention
  /** Bytes of data that are kept of all topics together. Default: no bound beyond `retention`. */
  readonly maxBytes?: number | undefined
}

/** The part of a log that is held in memory: its entries by topic, found by number or time. */
export class LogWindow {
  readonly #topics = new Map<Topic, TopicIndex>()
  readonly #runId: string | undefined
  readonly #retention: (topic: Topic) => Retention
  readonly #trail = new PositionTrail()
  readonly #zero: Position
  readonly #maxBytes: number
  // Not counted where there is no bound.
  readonly #bytes: KeptBytes | undefined
  #head: Position
  // Up to where something is gone that may have been under any topic.
  #forgotten: Position | undefined

  constructor({ runId, openedMs, head, retention, maxBytes }: LogWindowOptions) {
    this.#runId = runId
    this.#zero = { ms: openedMs, n: 0 }
    this.#head = head ?? this.#zero
    this.#retention = retention
    this.#maxBytes = maxBytes ?? Number.POSITIVE_INFINITY
    if (maxBytes !== undefined) this.#bytes = new KeptBytes()
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
    if (entry.position.n > this.#head.n) this.#head = entry.position
    // Without topics, the one index of the log knows them all.
    if (entry.topics.length > 0) this.#trail.add(entry.position)
    this.#bytes?.add(entry)
    for (const topic of indexedTopics(entry.topics)) this.#indexOf(topic).add(entry, nowMs)
    this.#trimBytes()
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

  /** Notes that a topic was trimmed up to here elsewhere. */
  trimTopic(topic: Topic, position: Position): void {
    this.#indexOf(topic).trimUpTo(position)
  }

  /** The newest that was trimmed of a topic, as far as it is known here. */
  trimmedUpTo(topic: Topic): Position | undefined {
    return this.#topics.get(topic)?.trimmedUpTo
  }

  /** Lets go of entries that are kept elsewhere. What is asked about readers from before is then asked there. */
  evictUpTo(n: number): void {
    for (const index of this.#topics.values()) {
      index.evictUpTo(n)
      if (index.size === 0 && (index.trimmedUpTo?.n ?? 0) <= n) this.#topics.delete(index.topic)
    }
  }

  read(afterN: number, options: ReadOptions = {}): Page {
    const selected = this.#select(options.topics)
    const gone = lostUpTo({ topics: selected, lost: this.#forgotten, zero: this.#zero })
    const runs = selected
      .map((index) => ({ index, next: index.indexAfter(afterN) }))
      .filter(({ index, next }) => next < index.size)
    const taken = new PageEntries(options)
    // A merge of the topics' lists by number; an entry under several of them is taken once.
    while (runs.length > 0) {
      let lowest: LogEntry | undefined
      for (const { index, next } of runs) {
        const entry = index.at(next)
        if (lowest === undefined || entry.position.n < lowest.position.n) lowest = entry
      }
      if (lowest === undefined || !taken.take(lowest)) break
      for (let i = runs.length - 1; i >= 0; i--) {
        const run = runs[i]
        if (run === undefined || run.index.at(run.next) !== lowest) continue
        run.next += 1
        if (run.next >= run.index.size) runs.splice(i, 1)
      }
    }
    const page = { entries: taken.entries, hasMore: taken.hasMore }
    return gone.n <= afterN ? page : { ...page, lostUpTo: gone }
  }

  locate(cursor: Cursor, topics?: readonly Topic[]): StartingPoint {
    return locate(this.#view(topics), cursor)
  }

  range(topics?: readonly Topic[]): LogRange {
    return rangeOf(this.#view(topics), topics === undefined)
  }

  #trimBytes(): void {
    const bytes = this.#bytes
    while (bytes !== undefined && bytes.total > this.#maxBytes) {
      const oldest = bytes.oldest
      if (oldest === undefined) return
      for (const topic of indexedTopics(oldest.topics)) this.#topics.get(topic)?.trimUpTo(oldest.position)
    }
  }

  #view(topics: readonly Topic[] | undefined): LogView {
    return {
      runId: this.#runId,
      zero: this.#zero,
      head: this.#head,
      lost: this.#forgotten,
      topics: this.#select(topics),
      fits: (position) => this.#trail.fits(position),
    }
  }

  #indexOf(topic: Topic): TopicIndex {
    let index = this.#topics.get(topic)
    if (index === undefined) {
      const bytes = this.#bytes
      const onRemoved = bytes === undefined ? undefined : (entry: LogEntry) => bytes.remove(entry)
      index = new TopicIndex(topic, this.#retention(topic), onRemoved)
      this.#topics.set(topic, index)
    }
    return index
  }

  #forget(index: TopicIndex): void {
    this.#topics.delete(index.topic)
    if (index.trimmedUpTo !== undefined) this.lose(index.trimmedUpTo)
  }

  #select(topics: readonly Topic[] | undefined): TopicIndex[] {
    if (topics === undefined) return [...this.#topics.values()]
    return topics.flatMap((topic) => this.#topics.get(topic) ?? [])
  }
}
