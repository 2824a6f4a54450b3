import type { Position, Topic } from '@tributary/protocol'
import type { TopicView } from './cursor-location.ts'
import { EntryList } from './entry-list.ts'
import type { LogEntry, Retention } from './event-log.ts'

/** The entries of one topic, oldest first, bounded by its retention. */
export class TopicIndex implements TopicView {
  readonly topic: Topic
  readonly #retention: Retention
  readonly #onRemoved: ((entry: LogEntry) => void) | undefined
  readonly #entries = new EntryList()
  #trimmedUpTo: Position | undefined

  /** @param onRemoved told of each entry that is let go of. */
  constructor(topic: Topic, retention: Retention, onRemoved?: (entry: LogEntry) => void) {
    this.topic = topic
    this.#retention = retention
    this.#onRemoved = onRemoved
  }

  get size(): number {
    return this.#entries.size
  }

  get first(): Position | undefined {
    return this.#entries.at(0)?.position
  }

  get trimmedUpTo(): Position | undefined {
    return this.#trimmedUpTo
  }

  add(entry: LogEntry, nowMs: number): void {
    this.#entries.push(entry)
    this.trim(nowMs)
  }

  trim(nowMs: number): void {
    const { maxEvents, maxAgeMs } = this.#retention
    while (this.size > maxEvents || (this.size > 0 && this.at(0).position.ms < nowMs - maxAgeMs)) {
      this.#trimmedUpTo = this.at(0).position
      this.#removeOldest()
    }
  }

  /** Takes note that it was trimmed up to here elsewhere. */
  trimUpTo(position: Position): void {
    if (position.n > (this.#trimmedUpTo?.n ?? 0)) this.#trimmedUpTo = position
    this.evictUpTo(position.n)
  }

  /** Lets go of entries that are kept elsewhere. */
  evictUpTo(n: number): void {
    for (let count = this.indexAfter(n); count > 0; count--) this.#removeOldest()
  }

  /** The `index`th entry that is kept. The caller stays below `size`. */
  at(index: number): LogEntry {
    const entry = this.#entries.at(index)
    if (entry === undefined) throw new RangeError(`no entry ${index} in topic ${this.topic}`)
    return entry
  }

  /** The index of the first entry with a higher number than `n`; `size` where there is none. */
  indexAfter(n: number): number {
    return this.#firstIndex((position) => position.n > n)
  }

  /** The index of the first entry later than `ms`; `size` where there is none. */
  indexLaterThan(ms: number): number {
    return this.#firstIndex((position) => position.ms > ms)
  }

  after(n: number): Position | undefined {
    return this.#entries.at(this.indexAfter(n))?.position
  }

  upTo(n: number): Position | undefined {
    return this.#before(this.indexAfter(n))
  }

  until(ms: number): Position | undefined {
    return this.#before(this.indexLaterThan(ms))
  }

  #removeOldest(): void {
    const entry = this.#entries.shift()
    if (entry !== undefined) this.#onRemoved?.(entry)
  }

  #before(index: number): Position | undefined {
    return index === 0 ? undefined : this.at(index - 1).position
  }

  /** Binary search: both the number and the time only rise along the index. */
  #firstIndex(isAfter: (position: Position) => boolean): number {
    let low = 0
    let high = this.size
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isAfter(this.at(middle).position)) high = middle
      else low = middle + 1
    }
    return low
  }
}
