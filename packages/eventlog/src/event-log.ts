import type { Audience, Cursor, GapReason, NewEvent, Position, Topic } from '@tributary/protocol'
import type { EphemeralEvent, Telling, Told } from './ephemeral-event.ts'
import type { Following } from './following.ts'
import type { StoredEvent } from './stored-event.ts'

/** An event as it stands in a log. Shared by all readers; nothing of it changes but its `frames`. */
export interface LogEntry {
  readonly position: Position
  readonly event: StoredEvent
  /** Whom it is for; absent in the log of a run, which is for all of its readers. */
  readonly audience: Audience | undefined
  /** What it is found by. */
  readonly topics: readonly Topic[]
  /** By whom it was appended, and as which of his: `<node>.<count>`. Where nodes share the log. */
  readonly origin?: string
  /** What else it may have been handed on as: by the key that it was asked for with, and by this node of it. */
  readonly aliases?: readonly string[]
  /**
   * Handed on while the store is away, and to be stored once it is back: then it is told again, with the same origin.
   * Its position is that of the last before it.
   */
  readonly provisional?: true
  /** Its frames, by form, for whoever serves the log: kept here so that they go with the entry. */
  frames: (object | undefined)[] | undefined
}

/** An event to append. */
export interface Append {
  readonly event: NewEvent
  readonly audience?: Audience
}

/** What becomes of an append while the store cannot be reached. */
export interface BridgeOptions {
  /**
   * One event that is appended is handed on here at once as `provisional`, kept, and stored once the store is back, where
   * the log can do that and has room. Default: it is refused.
   */
  readonly bridges?: boolean
}

/** What changes together with an append, in the same step. */
export interface AppendOptions extends BridgeOptions {
  /**
   * Small texts that are kept with the log: set, or taken away where `null`. Not for readers; for the owner, who
   * finds them again when the log is opened after a restart.
   */
  readonly attributes?: Readonly<Record<string, string | null>>
  /**
   * Which executor appends, counted up by each that takes the log over. Once a higher one has appended, a lower
   * one is refused. Default: not checked.
   */
  readonly epoch?: number
  /** What the same append was known by when it failed before: `StoreUnavailableError.unsettled`. It is done once. */
  readonly again?: string | undefined
}

/** What makes an append happen once, however often it is asked for. */
export interface OnceKey {
  /** Within the log, 1 to 512 characters. */
  readonly key: string
  /** Of what is asked for: the same key with another is a mistake of the caller. */
  readonly fingerprint: string
  /** How long the key is remembered, in ms. */
  readonly windowMs: number
}

/** What came of an append with a key. */
export type OnceAnswer =
  | { readonly replayed: false; readonly entries: readonly LogEntry[] }
  /** The key was there: nothing was appended. `first` is what the first of the batch got then; none of an empty one. */
  | {
      readonly replayed: true
      readonly first: Position | undefined
      /** There where what was asked for waits to be stored, and has no place yet. */
      readonly waits?: true
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
  /** The most characters of data in the answer, beyond those of its first entry. Default 262,144. */
  readonly maxChars?: number
}

export interface Page {
  /** In order. */
  readonly entries: readonly LogEntry[]
  /** Whether there were more when the page was read. */
  readonly hasMore: boolean
  /**
   * The newest position after the one read from that was gone for a reader of these topics when the page was read;
   * none: nothing was.
   */
  readonly lostUpTo?: Position
}

export const DEFAULT_PAGE_LIMIT = 256
export const DEFAULT_PAGE_CHARS = 262_144

/** From where to where a log's events are kept. */
export interface LogRange {
  /** The oldest that is kept; none where nothing is. */
  readonly first?: Position
  /** The newest there was, kept or not; `{ms: <opened>, n: 0}` where none is known. */
  readonly last: Position
  /** Up to where something is gone; none where all is there. */
  readonly trimmedUpTo?: Position
}

/** What readers need of a log. */
export interface ReadableLog {
  readonly name: string
  /** The newest position; `{ms: <opened>, n: 0}` before the first append. Moves before listeners hear of it. */
  readonly head: Position
  /** Whether the terminal event has been appended. */
  readonly closed: boolean
  /**
   * What was handed on as `provisional` and has not been told with its place since, in order: whoever was not live then
   * takes it when it is, for what comes behind it would else overtake it. Absent where the log never has any.
   */
  readonly provisional?: readonly LogEntry[]
  /** The id that a position has in this log. */
  idOf(position: Position): string
  /** Where a reader with this cursor goes on. A gap may be told too wide; it is never missing. */
  locate(cursor: Cursor, topics?: readonly Topic[]): Promise<StartingPoint>
  /** The entries after `n`, in order. */
  read(afterN: number, options?: ReadOptions): Promise<Page>
  /** From where to where the events of these topics are kept; those of all where none are named. */
  position(topics?: readonly Topic[]): Promise<LogRange>
  /**
   * Calls `listener` with each entry once it is appended, in order, until the answer is called: with those that are
   * followed, by whomever, and perhaps with others.
   */
  tail(listener: (entry: LogEntry) => void): () => void
  /**
   * Has the log hear of what anybody appends under these topics, in whatever process; of everything where none are
   * named. Who follows a topic twice ends it twice.
   */
  follow(topics?: readonly Topic[]): Following
  /**
   * Calls `listener` where the log turns out to have lost what it told, or to be another behind the same numbers, until
   * the answer is called. The head is still the old one then: who reads takes note of its place, and afterwards has it
   * judged by `locate`.
   */
  onRewind(listener: () => void): () => void
}

/**
 * An ordered, bounded list of events that can be resumed from any event id.
 *
 * One owner appends. What is appended in one call stands together, and listeners hear of it in order.
 */
export interface EventLog extends ReadableLog {
  /** As they stand now; changed by appends only. Those of others show once they are told, where the log is followed. */
  readonly attributes: ReadonlyMap<string, string>
  /**
   * Calls `listener` each time attributes have changed, until the answer is called: by an append here, and by those of
   * other processes while the log is followed.
   */
  onAttributes(listener: () => void): () => void
  /**
   * Appends all of the batch or nothing. An empty batch changes the attributes alone.
   *
   * @throws LogClosedError after the terminal event; FrameError on a type that no frame can carry; TypeError on data
   *   that is no JSON; StaleEpochError; StoreUnavailableError where it cannot be stored.
   */
  append(batch: readonly Append[], options?: AppendOptions): Promise<readonly LogEntry[]>
  /**
   * Appends a batch once: the same key within its window appends nothing, also after a restart. Calls of one key
   * that overlap append once, too.
   *
   * @throws as `append`; OnceConflictError where the key was used for something else.
   */
  appendOnce(batch: readonly Append[], once: OnceKey, options?: BridgeOptions): Promise<OnceAnswer>
  appendOnce(batch: readonly Append[], once: OnceKey): Promise<OnceAnswer>
  /**
   * Tells an event to who listens, now or never: it is not stored, takes no number, and is not tried again. Listeners
   * here hear of it before this returns; those of other processes where one of its topics is followed, and perhaps
   * others, each once, and of those of one process in the order of its calls, as far as the way there keeps it.
   *
   * @throws as `append`; StoreUnavailableError where others are known to be out of reach, and it is told to nobody then.
   */
  tell(telling: Telling): Promise<Told>
  /** Calls `listener` with each event that is told, here or in another process, until the answer is called. */
  onTold(listener: (event: EphemeralEvent) => void): () => void
  /** Appends the terminal event; whatever comes later is refused. @throws as `append`; LogClosedError the second time. */
  close(terminal: Append, options?: AppendOptions): Promise<LogEntry>
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
  /**
   * Bytes of data that are kept of all topics together; the oldest go first, whatever their topics. A durable store
   * may be over it for a moment. Default: no bound beyond `retention`.
   */
  readonly maxBytes?: number
  /** Stored with a log that is new, before `open` answers; one that was there has its own. */
  readonly attributes?: Readonly<Record<string, string>>
  /** Whether it must be there already. Default: one that is not is made. */
  readonly mustExist?: boolean
}

/** A log as the store lists it. */
export interface LogSummary {
  readonly name: string
  readonly head: Position
  readonly closed: boolean
  readonly attributes: ReadonlyMap<string, string>
}

export interface ListOptions {
  /** Only names that begin so. */
  readonly prefix?: string
  /** Only names after this one, by their code units. */
  readonly after?: string
  /** Default 256. */
  readonly limit?: number
}

/** Whether appends can be stored, and what is stored can be read. */
export type StoreHealth =
  | { readonly status: 'ok' }
  /** `reason` is for people, and says what to do. */
  | { readonly status: 'degraded'; readonly reason: string }

/** Where logs live. */
export interface EventStore extends AsyncDisposable {
  /** Whether what is appended is there after the process has ended. */
  readonly durable: boolean
  /** As the last write left it. A file that is damaged, or is not there any more, stays so until a restart. */
  readonly health: StoreHealth
  /**
   * Opens a log, or goes on with it. The same name answers the same log.
   *
   * @throws LogMissingError where it must be there, and is not.
   */
  open(name: string, options: OpenOptions): Promise<EventLog>
  /** Forgets a log and all that is in it. */
  drop(name: string): Promise<void>
  /** Trims every log to its retention. Also done at an interval. */
  trim(): Promise<void>
  /** One of the logs, as it stands in the store now; `undefined` where there is none of this name. */
  find(name: string): Promise<LogSummary | undefined>
  /** The logs there are, by name, a page at a time. */
  list(options?: ListOptions): Promise<readonly LogSummary[]>
  close(): Promise<void>
}
