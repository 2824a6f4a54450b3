import type { LogEntry, Page, ReadableLog, StartingPoint } from '@tributary/eventlog'
import type { Position } from '@tributary/protocol'
import { entryFrameAs, type FrameForm } from './entry-frame.ts'
import type { EventStream } from './event-stream.ts'
import type { Frame } from './frame.ts'
import { SentMarks } from './sent-marks.ts'

export interface ReaderPlaceOptions {
  readonly log: ReadableLog
  readonly stream: EventStream
  readonly form: FrameForm
  /** The reader gets what comes after. */
  readonly after: Position
  /** What it was sent besides. Default: nothing. */
  readonly sent?: SentMarks
  /** What is gone up to this number it has been told, or does not miss. Default: what is gone when it begins. */
  readonly toldUpToN?: number | undefined
}

/** Where a reader stands in its log: what it was sent, and what it goes without, told or still to be told. */
export class ReaderPlace {
  /** What it was sent that may come again in the log. */
  readonly sent: SentMarks
  /** Everything up to here has been sent to it, or is not for it. */
  position: Position
  readonly #options: ReaderPlaceOptions
  // Not before the position, and later where it was live since, and nothing was for it.
  #readUpToN: number
  #toldUpToN: number | undefined
  #sentN = 0
  // Where it stood before the first of the events that it went without and was not told of.
  #beforeDropped: Position | undefined

  constructor(options: ReaderPlaceOptions) {
    this.#options = options
    this.position = options.after
    this.sent = options.sent ?? new SentMarks()
    this.#readUpToN = options.after.n
    this.#toldUpToN = options.toldUpToN
  }

  /** It reads on behind this number. */
  get readUpToN(): number {
    return this.#readUpToN
  }

  /** The number of the last entry that it was sent; 0 where it has had none. */
  get sentN(): number {
    return this.#sentN
  }

  /** Where it resumes: before what it went without and was not told of. */
  get resumesAfter(): Position {
    return this.#beforeDropped ?? this.position
  }

  /** What it comes back with from a position. */
  idOf(position: Position): string {
    return this.#options.log.idOf(position) + this.sent.suffix
  }

  send(entry: LogEntry, frame: Frame): void {
    this.tellDropped()
    const { stream, form } = this.#options
    this.pass(entry)
    this.#sentN = entry.position.n
    const own = this.sent.isEmpty ? frame : entryFrameAs(this.idOf(entry.position), entry, form)
    stream.send(own, entry.event.conflate)
  }

  /** Sends what has no place in the log yet. Its cursor stays `at` where it is, and says that it has this, too. */
  sendProvisional(entry: LogEntry, frame: Frame, at: Position): void {
    this.tellDropped()
    this.position = at
    const { stream, form } = this.#options
    this.sent.add(entry)
    const id = this.idOf(at)
    stream.send(id === entry.event.id ? frame : entryFrameAs(id, entry, form), entry.event.conflate)
  }

  /** It has come as far as this entry, and need not have it. */
  pass(entry: LogEntry): void {
    this.position = entry.position
    this.sent.pass(entry)
  }

  /** It has read up to here. */
  moveTo(position: Position): void {
    this.position = position
    this.#readUpToN = position.n
    this.#toldUpToN = Math.max(position.n, this.#toldUpToN ?? 0)
  }

  /** It reads on behind this number, and was live until then: what is gone up to there it does not miss. */
  readFrom(n: number): void {
    this.#readUpToN = n
    if (n > 0) this.#toldUpToN = Math.max(n, this.#toldUpToN ?? 0)
  }

  /** Its place was judged anew: tells what is gone, and goes on there. */
  relocate({ after, gap, lostUpTo = after }: StartingPoint): void {
    const { log, stream } = this.#options
    const from = this.position
    this.position = after
    this.#readUpToN = after.n
    this.#toldUpToN = lostUpTo.n
    if (gap === undefined) return
    this.#sentN = 0
    stream.gap({ from: log.idOf(from), to: log.idOf(lostUpTo), reason: gap }, this.idOf(after))
  }

  /** Notes that it goes without an event, which is in no log or is the next of this one. */
  drop(position = this.position): void {
    const { stream } = this.#options
    if (this.#beforeDropped === undefined) {
      this.#beforeDropped = this.position
      // At the latest when it has caught up, where nothing else is sent to it.
      void stream.drained().then(() => this.tellDropped())
    }
    this.position = position
    stream.countDropped('low_priority')
  }

  /** Tells what it went without. Until then its cursor stays before that: who resumes from there gets it after all. */
  tellDropped(): void {
    const from = this.#beforeDropped
    if (from === undefined) return
    const { log, stream } = this.#options
    if (stream.ended) return
    this.#beforeDropped = undefined
    // Not the head: what is sent next may be one of a batch.
    const to = this.idOf(this.position)
    stream.gap({ from: log.idOf(from), to: log.idOf(this.position), reason: 'overflow' }, to)
  }

  /** Where the log was trimmed ahead of a reader that is on its way, it is told. */
  tellLost({ entries: [next], lostUpTo }: Page): void {
    const { log, stream } = this.#options
    const lostN = lostUpTo?.n ?? 0
    this.#toldUpToN ??= lostN
    if (lostUpTo === undefined || lostN <= this.#toldUpToN) return
    this.#toldUpToN = lostN
    const gap = { from: log.idOf(this.position), to: log.idOf(lostUpTo), reason: 'overflow' } as const
    // What some topics still have of that time is delivered, so it does not go on behind it.
    if (next === undefined || next.position.n > lostN) this.moveTo(lostUpTo)
    stream.gap(gap, this.idOf(this.position))
  }
}
