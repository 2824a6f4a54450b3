import type { Cursor, Position, Topic } from '@tributary/protocol'
import type { LogEntry, Page, ReadOptions, StartingPoint } from './event-log.ts'
import { LogWindow, type LogWindowOptions } from './log-window.ts'
import { RecentFrames } from './recent-frames.ts'

/** What an entry takes beside its data, roughly, in bytes. */
const ENTRY_BYTES = 300

export interface RecentTailOptions extends Omit<LogWindowOptions, 'maxBytes'> {
  /** The newest position that is not in the tail; the place before the first where all of the log is. */
  readonly base: Position
  readonly head: Position
  /** Entries that stay when the older ones are let go of; there are up to twice as many. */
  readonly maxEvents: number
  /** The same in bytes: of what is in memory, not of what is kept. */
  readonly maxBytes: number
}

/**
 * The newest entries of a log that is kept on a disk. Whoever has come as far as its base is answered from here,
 * and exactly: what a topic has lost behind the base is known by the entries in front of it.
 */
export class RecentTail {
  readonly #window: LogWindow
  readonly #frames = new RecentFrames()
  readonly #maxEvents: number
  readonly #maxBytes: number
  #entries: LogEntry[] = []
  #bytes = 0
  #base: Position

  constructor({ base, maxEvents, maxBytes, ...window }: RecentTailOptions) {
    // Without a bound in bytes: the window would take what is let go of here for trimmed.
    this.#window = new LogWindow(window)
    this.#base = base
    this.#maxEvents = maxEvents
    this.#maxBytes = maxBytes
  }

  /** What needs no more than the newest entries to be answered. */
  get window(): LogWindow {
    return this.#window
  }

  /** Entries come in order, each higher than the one before. */
  add(entry: LogEntry, nowMs: number): void {
    this.#window.add(entry, nowMs)
    this.#frames.add(entry)
    this.#entries.push(entry)
    this.#bytes += bytesOf(entry)
    if (this.#entries.length >= 2 * this.#maxEvents || this.#bytes >= 2 * this.#maxBytes) this.#evict()
  }

  /** Takes note that a topic was trimmed up to here elsewhere. */
  trimTopic(topic: Topic, position: Position): void {
    if (position.n > this.#base.n) this.#window.trimTopic(topic, position)
  }

  /** Where a reader goes on; `undefined` where that is for the disk to say. */
  locate(cursor: Cursor, topics?: readonly Topic[]): StartingPoint | undefined {
    if (this.#base.n === 0) return this.#window.locate(cursor, topics)
    if (!this.#isBehind(cursor)) return undefined
    const start = this.#window.locate(cursor, topics)
    // Who comes from another log goes on at the oldest, which is not here.
    if (start.gap === 'ahead' || start.gap === 'log_lost') return undefined
    return start.after.n < this.#base.n ? { ...start, after: this.#base } : start
  }

  /** The entries after `n`; `undefined` where some of them are not here. */
  read(afterN: number, options?: ReadOptions): Page | undefined {
    return afterN < this.#base.n ? undefined : this.#window.read(afterN, options)
  }

  /** Those that are not older than this, in order. */
  since(ms: number): readonly LogEntry[] {
    const at = this.#entries.findLastIndex(({ position }) => position.ms < ms)
    return this.#entries.slice(at + 1)
  }

  /** Whether a cursor can stand at the base or behind it, where nothing before it is asked for. */
  #isBehind(cursor: Cursor): boolean {
    const { ms, n } = this.#base
    if (cursor.kind === 'time') return cursor.ms >= ms && cursor.ms > 0
    return cursor.n === n ? cursor.ms === ms : cursor.n > n && cursor.ms >= ms
  }

  /** Lets go of the frames, for a log that has ended. */
  clearFrames(): void {
    this.#frames.clear()
  }

  #evict(): void {
    let count = 0
    let bytes = this.#bytes
    for (const entry of this.#entries) {
      if (this.#entries.length - count <= this.#maxEvents && bytes <= this.#maxBytes) break
      bytes -= bytesOf(entry)
      this.#base = entry.position
      count += 1
    }
    this.#entries = this.#entries.slice(count)
    this.#bytes = bytes
    this.#window.evictUpTo(this.#base.n)
    this.#frames.evictUpTo(this.#base.n)
  }
}

function bytesOf({ event, topics }: LogEntry): number {
  return ENTRY_BYTES * (1 + topics.length) + 2 * event.json.length
}
