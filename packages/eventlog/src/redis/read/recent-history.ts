import type { Cursor, Position, Topic } from '@tributary/protocol'
import type { LogEntry, Page, ReadOptions, StartingPoint } from '../../event-log.ts'
import { RecentTail, type RecentTailOptions } from '../../recent-tail.ts'

/** Positions that are known to be of the log; about as many as a reader is likely to come back with. */
const MAX_KNOWN = 8_192

/**
 * The newest entries that a node has handed on. Readers of topics that it has followed since before their cursor,
 * without a hole, are answered from here.
 */
export class RecentHistory {
  readonly #options: Omit<RecentTailOptions, 'base' | 'head'>
  readonly #known = new Map<number, number>()
  #tail: RecentTail

  constructor(options: Omit<RecentTailOptions, 'base' | 'head'>, head: Position) {
    this.#options = options
    this.#tail = this.#begin(head)
  }

  /** Forgets everything, and begins here. */
  reset(head: Position): void {
    this.#known.clear()
    this.#tail = this.#begin(head)
  }

  add(entry: LogEntry): void {
    this.#tail.add(entry, entry.position.ms)
  }

  /** Notes that the log has been here, so that a cursor from here is one of its own. */
  pass({ ms, n }: Position): void {
    this.#known.set(n, ms)
    if (this.#known.size <= MAX_KNOWN) return
    const [oldest] = this.#known.keys()
    if (oldest !== undefined) this.#known.delete(oldest)
  }

  trim(nowMs: number): void {
    this.#tail.window.trim(nowMs)
  }

  /** @param completeFromN all of these topics after this number is here. */
  read(afterN: number, completeFromN: number, options: ReadOptions): Page | undefined {
    return afterN < completeFromN ? undefined : this.#tail.read(afterN, options)
  }

  /** Where a reader goes on; `undefined` where that is for the store to say. @param completeFromN as of `read`. */
  locate(cursor: Cursor, completeFromN: number, topics?: readonly Topic[]): StartingPoint | undefined {
    if (cursor.kind === 'time' || cursor.n < completeFromN) return undefined
    if (this.#known.get(cursor.n) !== cursor.ms) return undefined
    const start = this.#tail.locate(cursor, topics)
    // The log was passed here without an entry of these topics: the tail ends before it, and knows no better.
    return start?.gap === 'ahead' || start?.gap === 'log_lost' ? undefined : start
  }

  /** Those that are not older than this, in order. */
  since(ms: number): readonly LogEntry[] {
    return this.#tail.since(ms)
  }

  clearFrames(): void {
    this.#tail.clearFrames()
  }

  #begin(head: Position): RecentTail {
    this.pass(head)
    return new RecentTail({ ...this.#options, base: head, head })
  }
}
