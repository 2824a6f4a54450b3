import type { Cursor, GapReason, Position } from '@tributary/protocol'
import type { LogRange, StartingPoint } from './event-log.ts'

/** What is kept of one topic, in memory or on a disk, as far as a cursor is judged by it. */
export interface TopicView {
  /** The oldest that is kept. */
  readonly first: Position | undefined
  /** The newest that was trimmed away. */
  readonly trimmedUpTo: Position | undefined
  /** The first that is kept with a higher number than `n`. */
  after(n: number): Position | undefined
  /** The last that is kept with no higher number than `n`. */
  upTo(n: number): Position | undefined
  /** The last that is kept and not later than `ms`. */
  until(ms: number): Position | undefined
}

/** What a reader's cursor is judged by: the log, and what is kept of the topics that it reads. */
export interface LogView {
  /** Whose log it is, where it is a run's: a cursor that names another is of another log. */
  readonly runId: string | undefined
  /** The place before the first: a cursor from an earlier time is of another log. */
  readonly zero: Position
  readonly head: Position
  /** Up to where something is gone that may have been under any topic. */
  readonly lost: Position | undefined
  readonly topics: readonly TopicView[]
  /** Whether a position could stand in the log, whatever its topics. */
  fits(position: Position): boolean
}

/** Where a reader with this cursor goes on. */
export function locate(view: LogView, cursor: Cursor): StartingPoint {
  const { zero, head, runId: ownRunId } = view
  const gone = lostUpTo(view)
  if (cursor.kind === 'time') {
    // 0 asks for whatever there is: what is gone is not missed.
    const misses = cursor.ms > 0 && gone.n > 0 && gone.ms > cursor.ms
    return goOn(view, lastUntil(view, cursor.ms), misses ? 'expired' : undefined)
  }
  const { runId, ms, n } = cursor
  if (runId !== undefined && runId !== ownRunId) return goOn(view, zero, 'log_lost')
  // First: the cursors of a store that was removed have higher numbers, too.
  if (isOfAnotherLog(view, { ms, n })) return goOn(view, zero, 'log_lost')
  if (n > head.n) return goOn(view, zero, 'ahead')
  return goOn(view, { ms, n }, n < gone.n ? 'expired' : undefined)
}

/** The newest position that is gone for a reader of these topics; the place before the first where none is. */
export function lostUpTo({ lost, zero, topics }: Pick<LogView, 'lost' | 'zero' | 'topics'>): Position {
  let newest = lost ?? zero
  for (const { trimmedUpTo } of topics) if (trimmedUpTo && trimmedUpTo.n > newest.n) newest = trimmedUpTo
  return newest
}

/** From where to where the events of these topics are kept; of the whole log where none were named. */
export function rangeOf(view: LogView, isWhole: boolean): LogRange {
  let first: Position | undefined
  let last = isWhole ? view.head : view.zero
  for (const topic of view.topics) {
    const { first: oldest, trimmedUpTo } = topic
    const newest = topic.upTo(view.head.n) ?? trimmedUpTo
    if (oldest !== undefined && (first === undefined || oldest.n < first.n)) first = oldest
    if (newest !== undefined && newest.n > last.n) last = newest
  }
  const gone = lostUpTo(view)
  return {
    ...(first === undefined ? {} : { first }),
    last,
    ...(gone.n === 0 ? {} : { trimmedUpTo: gone }),
  }
}

/** Passes over what is gone, unless something that is kept would be passed over with it. */
function goOn(view: LogView, from: Position, gap: GapReason | undefined): StartingPoint {
  const told = gap === undefined ? {} : { gap }
  const gone = lostUpTo(view)
  if (gone.n <= from.n) return { after: from, ...told }
  for (const topic of view.topics) {
    const next = topic.after(from.n)
    if (next !== undefined && next.n <= gone.n) return { after: from, lostUpTo: gone, ...told }
  }
  return { after: gone, ...told }
}

/** The newest position, over these topics, that is not later than `ms`. */
function lastUntil({ topics, zero }: LogView, ms: number): Position {
  let newest = zero
  for (const topic of topics) {
    const last = topic.until(ms)
    if (last !== undefined && last.n > newest.n) newest = last
  }
  return newest
}

/** Times rise with the numbers, so a cursor of this log fits between its neighbours. */
function isOfAnotherLog(view: LogView, cursor: Position): boolean {
  const { ms, n } = cursor
  const { zero, head, topics } = view
  // Before the first event of a log that was named by its run, not by its time.
  if (n === 0 && ms === 0) return false
  if (ms < zero.ms) return true
  if (n > head.n) return ms < head.ms
  if (ms > head.ms) return true
  if (n === 0) return ms !== zero.ms
  if (n === head.n) return ms !== head.ms
  return !view.fits(cursor) || topics.some((topic) => !topicFits(topic, cursor))
}

/** Whether a position could stand in the same log as what is kept of a topic. */
export function topicFits(topic: TopicView, { ms, n }: Position): boolean {
  const next = topic.after(n)
  if (next !== undefined && next.ms < ms) return false
  const before = topic.upTo(n) ?? topic.trimmedUpTo
  if (before === undefined) return true
  if (before.n === n) return before.ms === ms
  return before.n < n ? before.ms <= ms : before.ms >= ms
}
