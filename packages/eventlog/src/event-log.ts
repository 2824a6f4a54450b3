import type { Audience, Cursor, GapReason, NewEvent, Position, Topic } from '@tributary/protocol'
import type { StoredEvent } from './stored-event.ts'

/** An event as it stands in a log. Shared by all readers; nothing of it changes but its `frames`. */
export interface LogEntry {
  readonly position: Position
  readonly event: StoredEvent
  /** Whom it is for; absent in the log of a run, which is for all of its readers. */
  readonly audience: Audience | undefined
  /** What it is found by. */
  readonly topics: readonly Topic[]
  /** Its frames, by form, for whoever serves the log: kept here so that they go with the entry. */
  frames: (Uint8Array | undefined)[] | undefined
}

/** An event to append. */
export interface Append {
  readonly event: NewEvent
  readonly audience?: Audience
}

/** Where a reader goes on, and what it is told first. */
export interface StartingPoint {
  /** The reader gets what has a higher number. */
  readonly after: Position
  /** There where events after its cursor are lost to it. */
  readonly gap?: GapReason
  /**
   * Up to where events may be gone, if that is later than `after`: some of its topics are kept longer than others,
   * and what is kept of them is delivered all the same.
   */
  readonly lostUpTo?: Position
}

export interface ReadOptions {
  /** Only entries of one of these. Default: all. */
  readonly topics?: readonly Topic[]
  /** The most entries in the answer. Default 256. */
  readonly limit?: number
}

export interface Page {
  /** In order. */
  readonly entries: readonly LogEntry[]
  /** Whether there were more when the page was read. */
  readonly hasMore: boolean
  /** The newest position that was gone for a reader of these topics when the page was read; none: nothing was. */
  readonly lostUpTo?: Position
}

export const DEFAULT_PAGE_LIMIT = 256

/** What readers need of a log. */
export interface ReadableLog {
  readonly name: string
  /** The newest position; `{ms: <opened>, n: 0}` before the first append. Moves before listeners hear of it. */
  readonly head: Position
  /** Whether the terminal event has been appended. */
  readonly closed: boolean
  /** The id that a position has in this log. */
  idOf(position: Position): string
  /** Where a reader with this cursor goes on. A gap may be told too wide; it is never missing. */
  locate(cursor: Cursor, topics?: readonly Topic[]): Promise<StartingPoint>
  /** The entries after `n`, in order. */
  read(afterN: number, options?: ReadOptions): Promise<Page>
  /** Calls `listener` with each entry once it is appended, in order, until the answer is called. */
  tail(listener: (entry: LogEntry) => void): () => void
}

/**
 * An ordered, bounded list of events that can be resumed from any event id.
 *
 * One owner appends. What is appended in one call stands together, and listeners hear of it in order.
 */
export interface EventLog extends ReadableLog {
  /**
   * Appends all of the batch or nothing.
   *
   * @throws LogClosedError after the terminal event; FrameError on a type that no frame can carry; TypeError on data
   *   that is no JSON.
   */
  append(batch: readonly Append[]): Promise<readonly LogEntry[]>
  /** Appends the terminal event; whatever comes later is refused. @throws LogClosedError the second time. */
  close(terminal: Append): Promise<LogEntry>
}

/** How much of a topic is kept. What is older by either measure is trimmed. */
export interface Retention {
  readonly maxEvents: number
  readonly maxAgeMs: number
}

export interface OpenOptions {
  /** Put before each id, where the log is a run's. */
  readonly runId?: string
  /** Per class of topic. Asked once for each topic. */
  readonly retention: (topic: Topic) => Retention
}

/** Where logs live. */
export interface EventStore extends AsyncDisposable {
  /** Opens a log, or goes on with it. The same name answers the same log. */
  open(name: string, options: OpenOptions): Promise<EventLog>
  /** Forgets a log and all that is in it. */
  drop(name: string): Promise<void>
  /** Trims every log to its retention. Also done at an interval. */
  trim(): Promise<void>
  /** The names of the logs there are. */
  names(): Promise<readonly string[]>
  close(): Promise<void>
}

/** An append to a log that has ended. */
export class LogClosedError extends Error {
  override readonly name = 'LogClosedError'
  readonly code = 'log_closed'
  readonly retryable = false

  constructor(log: string) {
    super(`The log ${log} has ended; nothing can be appended to it`)
  }
}
