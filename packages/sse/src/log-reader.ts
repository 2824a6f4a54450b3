import type { LogEntry } from '@tributary/eventlog'
import { isBehind, type Position, ProblemError } from '@tributary/protocol'
import { entryFrame } from './entry-frame.ts'
import { LogReplay, type LogReplayOptions } from './log-replay.ts'
import { ReaderPlace, type ReaderPlaceOptions } from './reader-place.ts'

/** What happens to a reader that has no room for a live event. */
export type OverflowPolicy =
  /** It reads on from the log at its own pace. */
  | 'catch_up'
  /** It goes without what is of low priority, and is told so; at anything else it is closed, to resume. */
  | 'disconnect'

export interface LogReaderOptions extends ReaderPlaceOptions, LogReplayOptions {
  readonly overflow: OverflowPolicy
  /** Called when the log is closed and the reader has all of it, but perhaps the terminal event, if not for it. */
  readonly onComplete?: (hasTerminal: boolean) => void
  /** Called where the log cannot be read. */
  readonly onError?: (error: unknown) => void
  /**
   * Calls back a while later, for a reader whose place cannot be judged anew as the log is away again: it stays, and that is
   * tried until it can. Default: that is an error as any other.
   */
  readonly later?: ((again: () => void) => void) | undefined
}

/**
 * One reader of one log: replay, then live.
 *
 * There is no hold queue. While it replays, live entries are left to the log; it is live from the moment
 * when, within one turn of the event loop, it has read up to the head and the next entry is offered to it.
 * So the seam can neither lose nor repeat, and a reader costs no memory beyond its outbox.
 */
export class LogReader {
  readonly #options: LogReaderOptions
  readonly #place: ReaderPlace
  #state: 'replaying' | 'live' | 'stopped' = 'replaying'
  #completed = false
  // Of the node where it reads, as it has not been told what waits there.
  #isAhead = false
  #replay: LogReplay | undefined

  constructor(options: LogReaderOptions) {
    this.#options = options
    this.#place = new ReaderPlace(options)
  }

  /** Everything up to here has been sent to it, or is not for it. */
  get position(): Position {
    // It may have come with a cursor that the log has not got to yet.
    return this.#state === 'live' && !this.#isFurther ? this.#options.log.head : this.#place.position
  }

  /** What it comes back with from here. */
  get cursor(): string {
    return this.#place.idOf(this.settle())
  }

  get live(): boolean {
    return this.#state === 'live'
  }

  /** Begins to read. Who is at the head already is live at once. */
  start(): void {
    if (this.#options.log.head.n > this.#place.position.n) this.#catchUp()
    else this.#goLive()
  }

  stop(): void {
    this.settle()
    this.#replay?.stop()
    this.#state = 'stopped'
  }

  /** The log has lost what was sent, or is another: has its place judged anew, tells what is gone, and goes on there. */
  rewind(): void {
    if (this.#state === 'stopped') return
    this.settle()
    this.tellDropped()
    this.#catchUp(true)
  }

  /** Takes note of how far a live reader has come without an entry, so that it never falls back behind that. */
  settle(): Position {
    this.#place.position = this.position
    return this.#place.resumesAfter
  }

  /** Notes that it goes without an event, which is in no log or is the next of this one. */
  drop(position?: Position): void {
    if (position === undefined) this.settle()
    this.#place.drop(position)
  }

  /** Tells what it went without. Until then its cursor stays before that: who resumes from there gets it after all. */
  tellDropped(): void {
    this.#place.tellDropped()
  }

  /** Takes the entry that was just appended; whoever replays will read it. Answers whether it was sent. */
  offer(entry: LogEntry, isFor = this.#accepts(entry)): boolean {
    if (this.#state !== 'live') return false
    if (entry.provisional) return isFor && this.#offerProvisional(entry)
    const place = this.#place
    const { n } = entry.position
    if (n <= place.position.n) {
      this.#completeAtEnd()
      return false
    }
    const { form, topics } = this.#options
    // Where every entry is offered, a number that was left out is an entry that the log does not have.
    if (topics === undefined && n > place.position.n + 1) {
      this.#readFrom(place.position.n)
      return false
    }
    if (!isFor || place.sent.has(entry)) {
      place.pass(entry)
      this.#completeAtEnd()
      return false
    }
    const frame = entryFrame(entry, form)
    if (!this.#hasRoomFor(entry, frame.byteLength)) {
      this.#overflow(entry)
      return false
    }
    place.send(entry, frame)
    this.#completeAtEnd()
    return true
  }

  #offerProvisional(entry: LogEntry): boolean {
    const { stream, form } = this.#options
    if (this.#place.sent.has(entry) || this.#leavesToLog(entry)) return false
    const frame = entryFrame(entry, form)
    if (!this.#hasRoomFor(entry, frame.byteLength)) {
      if (entry.event.priority === 'low') this.drop()
      else stream.end('slow_consumer')
      return false
    }
    this.#place.sendProvisional(entry, frame, this.position)
    return true
  }

  /**
   * Who was further elsewhere than this node is, or was when it came, may have had it at its place. Then he is sent nothing
   * before its place until all that waits now has one: a cursor can say from where to where he has what waited, and not that
   * some is missing.
   */
  #leavesToLog(entry: LogEntry): boolean {
    const { log } = this.#options
    if (this.#isFurther || isBehind(entry.position, this.#place.position)) this.#isAhead = true
    else if (this.#isAhead) this.#isAhead = log.provisional?.some((other) => other !== entry) === true
    return this.#isAhead
  }

  /** Than this node. */
  get #isFurther(): boolean {
    return isBehind(this.#options.log.head, this.#place.position)
  }

  #accepts(entry: LogEntry): boolean {
    const { accepts } = this.#options
    return accepts === undefined || accepts(entry)
  }

  #hasRoomFor({ event: { priority, conflate } }: LogEntry, bytes: number): boolean {
    const { stream } = this.#options
    return stream.hasRoomFor(bytes, conflate) && !(priority === 'low' && stream.paced)
  }

  /** There is no room for an entry that is for this reader. */
  #overflow(entry: LogEntry): void {
    const { stream, overflow } = this.#options
    if (overflow === 'catch_up') this.#readFrom(entry.position.n - 1)
    else if (entry.event.priority === 'low') this.drop(entry.position)
    else {
      // Not live any more: it has not come as far as the head.
      this.#state = 'replaying'
      stream.end('slow_consumer')
    }
  }

  #readFrom(n: number): void {
    this.#place.readFrom(n)
    this.#catchUp()
  }

  /** Reads on from the log; a replay that was under way is overtaken by this one. */
  #catchUp(relocates = false): void {
    this.#state = 'replaying'
    this.#replay?.stop()
    const replay = new LogReplay(this.#options, this.#place)
    this.#replay = replay
    replay
      .run(() => this.#goLive(), relocates)
      .catch((error: unknown) => {
        if (replay.stopped) return
        const { later, onError } = this.#options
        if (relocates && later !== undefined && isStoreTrouble(error)) {
          later(() => {
            if (!replay.stopped) this.#catchUp(true)
          })
          return
        }
        this.#state = 'stopped'
        onError?.(error)
      })
  }

  #goLive(): void {
    this.#state = 'live'
    this.#replay = undefined
    for (const entry of this.#options.log.provisional ?? []) this.offer(entry)
    this.#completeAtEnd()
  }

  #completeAtEnd(): void {
    const { log, onComplete } = this.#options
    if (onComplete === undefined || this.#completed || !log.closed || this.#place.position.n < log.head.n)
      return
    this.#completed = true
    onComplete(this.#place.sentN === log.head.n)
  }
}

/** A log of our own that cannot be read now; any other is somebody else's. */
export function isStoreTrouble(error: unknown): boolean {
  return error instanceof ProblemError && error.code === 'store_unavailable'
}
