import type { LogEntry, Page, ReadableLog } from '@tributary/eventlog'
import type { Position, Topic } from '@tributary/protocol'
import { entryFrame, entryFrameAs, type FrameForm } from './entry-frame.ts'
import type { EventStream } from './event-stream.ts'
import type { Frame } from './frame.ts'
import { SentMarks } from './sent-marks.ts'
import type { TurnGate } from './turn-gate.ts'

/** What happens to a reader that has no room for a live event. */
export type OverflowPolicy =
  /** It reads on from the log at its own pace. */
  | 'catch_up'
  /** It goes without what is of low priority, and is told so; at anything else it is closed, to resume. */
  | 'disconnect'

export interface LogReaderOptions {
  readonly log: ReadableLog
  readonly stream: EventStream
  readonly form: FrameForm
  /** What it takes its turn at for each page that it reads. */
  readonly gate: TurnGate
  /** The reader gets what comes after. */
  readonly after: Position
  /** What it was sent besides. Default: nothing. */
  readonly sent?: SentMarks
  /** What is gone up to this number it has been told, or does not miss. Default: what is gone when it begins. */
  readonly toldUpToN?: number | undefined
  readonly overflow: OverflowPolicy
  /** Asked before each page, as they may change. `undefined`: all there are. */
  readonly topics?: (() => readonly Topic[]) | undefined
  /** Whether an entry is for this reader. Default: every one. */
  readonly accepts?: ((entry: LogEntry) => boolean) | undefined
  /** Called when the log is closed and the reader has all of it, but perhaps the terminal event, if not for it. */
  readonly onComplete?: (hasTerminal: boolean) => void
  /** Called where the log cannot be read. */
  readonly onError?: (error: unknown) => void
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
  readonly #sent: SentMarks
  #position: Position
  // It reads on from here. Not before the position, and later where it was live since, and nothing was for it.
  #readUpToN: number
  #toldUpToN: number | undefined
  #state: 'replaying' | 'live' | 'stopped' = 'replaying'
  #completed = false
  #sentN = 0
  // Counts its replays, so that one that was overtaken by another goes no further.
  #round = 0
  // Where it stood before the first of the events that it went without and was not told of.
  #beforeDropped: Position | undefined

  constructor(options: LogReaderOptions) {
    this.#options = options
    this.#position = options.after
    this.#sent = options.sent ?? new SentMarks()
    this.#readUpToN = options.after.n
    this.#toldUpToN = options.toldUpToN
  }

  /** Everything up to here has been sent to it, or is not for it. */
  get position(): Position {
    const { head } = this.#options.log
    // It may have come with a cursor that the log has not got to yet.
    return this.#state === 'live' && head.n >= this.#position.n ? head : this.#position
  }

  /** What it comes back with from here. */
  get cursor(): string {
    return this.#idOf(this.settle())
  }

  get live(): boolean {
    return this.#state === 'live'
  }

  /** Begins to read. Who is at the head already is live at once. */
  start(): void {
    if (this.#options.log.head.n > this.#position.n) {
      this.#catchUp()
      return
    }
    this.#goLive()
  }

  stop(): void {
    this.settle()
    this.#state = 'stopped'
  }

  /** The log has lost what was sent, or is another: has its place judged anew, tells what is gone, and goes on there. */
  rewind(): void {
    if (this.#state === 'stopped') return
    this.settle()
    this.tellDropped()
    this.#state = 'replaying'
    this.#catchUp(true)
  }

  /** Takes note of how far a live reader has come without an entry, so that it never falls back behind that. */
  settle(): Position {
    this.#position = this.position
    return this.#beforeDropped ?? this.#position
  }

  /** Notes that it goes without an event, which is in no log or is the next of this one. */
  drop(position?: Position): void {
    const { stream } = this.#options
    if (position === undefined) this.settle()
    if (this.#beforeDropped === undefined) {
      this.#beforeDropped = this.#position
      // At the latest when it has caught up, where nothing else is sent to it.
      void stream.drained().then(() => this.tellDropped())
    }
    this.#position = position ?? this.#position
    stream.countDropped('low_priority')
  }

  /** Tells what it went without. Until then its cursor stays before that: who resumes from there gets it after all. */
  tellDropped(): void {
    const { log, stream } = this.#options
    const from = this.#beforeDropped
    if (from === undefined || stream.ended) return
    this.#beforeDropped = undefined
    // Not the head: what is sent next may be one of a batch.
    const to = this.#idOf(this.#position)
    stream.gap({ from: log.idOf(from), to: log.idOf(this.#position), reason: 'overflow' }, to)
  }

  /** Takes the entry that was just appended; whoever replays will read it. Answers whether it was sent. */
  offer(entry: LogEntry, isFor = this.#accepts(entry)): boolean {
    if (this.#state !== 'live') return false
    if (entry.provisional) return isFor && this.#offerProvisional(entry)
    const { n } = entry.position
    if (n <= this.#position.n) {
      this.#completeAtEnd()
      return false
    }
    const { stream, form, topics } = this.#options
    // Where every entry is offered, a number that was left out is an entry that the log does not have.
    if (topics === undefined && n > this.#position.n + 1) {
      this.#readFrom(this.#position.n)
      return false
    }
    if (!isFor || this.#sent.has(entry)) {
      this.#pass(entry)
      this.#completeAtEnd()
      return false
    }
    const frame = entryFrame(entry, form)
    const { priority, conflate } = entry.event
    if (!stream.hasRoomFor(frame.byteLength, conflate) || (priority === 'low' && stream.paced)) {
      this.#overflow(entry)
      return false
    }
    this.#send(entry, frame)
    this.#completeAtEnd()
    return true
  }

  /** Sends what has no place yet. Its cursor stays where it is, and says that it has this, too. */
  #offerProvisional(entry: LogEntry): boolean {
    const { stream, form } = this.#options
    if (this.#sent.has(entry)) return false
    const { priority, conflate } = entry.event
    const frame = entryFrame(entry, form)
    if (!stream.hasRoomFor(frame.byteLength, conflate) || (priority === 'low' && stream.paced)) {
      if (priority === 'low') this.drop()
      else stream.end('slow_consumer')
      return false
    }
    if (this.#beforeDropped !== undefined) this.tellDropped()
    this.settle()
    this.#sent.add(entry)
    const id = this.#idOf(this.#position)
    stream.send(id === entry.event.id ? frame : entryFrameAs(id, entry, form), conflate)
    return true
  }

  /** It has come as far as this entry, and need not have it. */
  #pass(entry: LogEntry): void {
    this.#position = entry.position
    this.#sent.pass(entry)
  }

  #idOf(position: Position): string {
    return this.#options.log.idOf(position) + this.#sent.suffix
  }

  #accepts(entry: LogEntry): boolean {
    const { accepts } = this.#options
    return accepts === undefined || accepts(entry)
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
    this.#state = 'replaying'
    this.#readUpToN = n
    if (n > 0) this.#toldUpToN = Math.max(n, this.#toldUpToN ?? 0)
    this.#catchUp()
  }

  #catchUp(relocates = false): void {
    this.#round += 1
    const round = this.#round
    this.#replay(round, relocates).catch((error: unknown) => {
      if (this.#isOver(round)) return
      this.#state = 'stopped'
      this.#options.onError?.(error)
    })
  }

  #isOver(round: number): boolean {
    return this.#options.stream.ended || this.#state === 'stopped' || this.#round !== round
  }

  async #relocate(round: number): Promise<void> {
    const { log, topics, stream } = this.#options
    const from = this.#position
    const { after, gap, lostUpTo = after } = await log.locate({ kind: 'event', ...from }, topics?.())
    if (this.#isOver(round)) return
    this.#position = after
    this.#readUpToN = after.n
    this.#toldUpToN = lostUpTo.n
    if (gap === undefined) return
    this.#sentN = 0
    stream.gap({ from: log.idOf(from), to: log.idOf(lostUpTo), reason: gap }, this.#idOf(after))
  }

  async #replay(round: number, relocates: boolean): Promise<void> {
    const { log, topics, stream, gate } = this.#options
    const sentBefore = stream.eventsSent
    if (relocates) {
      await gate.take()
      await this.#relocate(round)
      if (this.#isOver(round)) return
    }
    for (;;) {
      await gate.take()
      const headAtRead = log.head
      const selected = topics?.()
      const bounds = { maxChars: stream.maxBytes }
      const page = await log.read(
        this.#readUpToN,
        selected === undefined ? bounds : { topics: selected, ...bounds },
      )
      if (this.#isOver(round)) return
      this.#tellLost(page)
      if (!page.entries.every((entry) => this.#sendAtOnce(entry))) {
        // The rest of the page is read again then: kept for who does not read, it would come on top of his outbox.
        await stream.drained()
        if (this.#isOver(round)) return
        continue
      }
      if (page.hasMore) continue
      if (headAtRead.n > this.#position.n) this.#moveTo(headAtRead)
      if (log.head.n <= this.#position.n) break
    }
    stream.countReplayed(stream.eventsSent - sentBefore)
    this.#goLive()
  }

  #goLive(): void {
    this.#state = 'live'
    for (const entry of this.#options.log.provisional ?? []) this.offer(entry)
    this.#completeAtEnd()
  }

  /** Where the log was trimmed ahead of a reader that is on its way, it is told. */
  #tellLost({ entries: [next], lostUpTo }: Page): void {
    const { log, stream } = this.#options
    const lostN = lostUpTo?.n ?? 0
    this.#toldUpToN ??= lostN
    if (lostUpTo === undefined || lostN <= this.#toldUpToN) return
    this.#toldUpToN = lostN
    const gap = { from: log.idOf(this.#position), to: log.idOf(lostUpTo), reason: 'overflow' } as const
    // What some topics still have of that time is delivered, so it does not go on behind it.
    if (next === undefined || next.position.n > lostN) this.#moveTo(lostUpTo)
    stream.gap(gap, this.#idOf(this.#position))
  }

  #moveTo(position: Position): void {
    this.#position = position
    this.#readUpToN = position.n
    this.#toldUpToN = Math.max(position.n, this.#toldUpToN ?? 0)
  }

  /** Sends the entry or passes over it. Answers whether there was room. */
  #sendAtOnce(entry: LogEntry): boolean {
    const { stream, form } = this.#options
    if (this.#accepts(entry) && !this.#sent.has(entry)) {
      const frame = entryFrame(entry, form)
      if (stream.ended || !stream.hasRoomNowFor(frame.byteLength)) return false
      this.#send(entry, frame)
    }
    this.#sent.pass(entry)
    this.#moveTo(entry.position)
    return true
  }

  #send(entry: LogEntry, frame: Frame): void {
    if (this.#beforeDropped !== undefined) this.tellDropped()
    const { stream, form } = this.#options
    this.#pass(entry)
    this.#sentN = entry.position.n
    const own = this.#sent.isEmpty ? frame : entryFrameAs(this.#idOf(entry.position), entry, form)
    stream.send(own, entry.event.conflate)
  }

  #completeAtEnd(): void {
    const { log, onComplete } = this.#options
    if (onComplete === undefined || this.#completed || !log.closed || this.#position.n < log.head.n) return
    this.#completed = true
    onComplete(this.#sentN === log.head.n)
  }
}
