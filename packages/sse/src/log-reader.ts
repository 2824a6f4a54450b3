import type { LogEntry, ReadableLog } from '@tributary/eventlog'
import type { GapData, GapReason, Position, Topic } from '@tributary/protocol'
import { entryFrame, type FrameForm } from './entry-frame.ts'
import type { EventStream } from './event-stream.ts'

/** What happens to a reader that has no room for a live event. */
export type OverflowPolicy =
  /** It reads on from the log at its own pace. */
  | 'catch_up'
  /** It is closed as a slow consumer, to resume. */
  | 'disconnect'

export interface LogReaderOptions {
  readonly log: ReadableLog
  readonly stream: EventStream
  readonly form: FrameForm
  /** The reader gets what comes after. */
  readonly after: Position
  readonly overflow: OverflowPolicy
  /** Asked before each page, as they may change. `undefined`: all there are. */
  readonly topics?: () => readonly Topic[]
  /** Whether an entry is for this reader. Default: every one. */
  readonly accepts?: (entry: LogEntry) => boolean
  /** Called when the log is closed and the reader has all of it. */
  readonly onComplete?: () => void
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
  #position: Position
  #state: 'replaying' | 'live' | 'stopped' = 'replaying'
  #completed = false

  constructor(options: LogReaderOptions) {
    this.#options = options
    this.#position = options.after
  }

  /** Everything up to here has been sent to it, or is not for it. */
  get position(): Position {
    return this.#state === 'live' ? this.#options.log.head : this.#position
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
    this.#state = 'live'
    this.#completeAtEnd()
  }

  stop(): void {
    if (this.#state === 'live') this.#position = this.#options.log.head
    this.#state = 'stopped'
  }

  /** Takes the entry that was just appended; whoever replays will read it. Answers whether it was sent. */
  offer(entry: LogEntry): boolean {
    const { stream, form, accepts, overflow } = this.#options
    if (this.#state !== 'live') return false
    if (entry.position.n <= this.#position.n) {
      this.#completeAtEnd()
      return false
    }
    if (accepts !== undefined && !accepts(entry)) {
      this.#position = entry.position
      this.#completeAtEnd()
      return false
    }
    const frame = entryFrame(entry, form)
    if (stream.hasRoomFor(frame.byteLength)) {
      this.#position = entry.position
      stream.send(frame)
      this.#completeAtEnd()
      return true
    }
    this.#state = 'replaying'
    if (overflow === 'disconnect') stream.end('slow_consumer')
    else this.#catchUp()
    return false
  }

  #catchUp(): void {
    this.#replay().catch((error: unknown) => {
      this.#state = 'stopped'
      this.#options.onError?.(error)
    })
  }

  async #replay(): Promise<void> {
    const { log, topics, stream } = this.#options
    for (let first = true; ; first = false) {
      await this.#tellOverflow(first)
      const headAtRead = log.head
      const selected = topics?.()
      const page = await log.read(this.#position.n, selected === undefined ? {} : { topics: selected })
      for (const entry of page.entries) {
        if (!(await this.#sendAtItsPace(entry))) return
      }
      if (stream.ended || this.#state === 'stopped') return
      if (page.hasMore) continue
      if (headAtRead.n > this.#position.n) this.#position = headAtRead
      if (log.head.n <= this.#position.n) break
    }
    this.#state = 'live'
    this.#completeAtEnd()
  }

  /** Where the log was trimmed ahead of a reader that is on its way, it is told. */
  async #tellOverflow(first: boolean): Promise<void> {
    const { log, topics, stream } = this.#options
    if (first && this.#position === this.#options.after) return
    const { ms, n } = this.#position
    const { after, gap } = await log.locate({ kind: 'event', ms, n }, topics?.())
    if (gap === undefined) return
    sendGap(stream, { from: log.idOf(this.#position), to: log.idOf(after), reason: 'overflow' })
    this.#position = after
  }

  async #sendAtItsPace(entry: LogEntry): Promise<boolean> {
    const { stream, form, accepts } = this.#options
    if (accepts === undefined || accepts(entry)) {
      const frame = entryFrame(entry, form)
      while (!stream.ended && !stream.hasRoomFor(frame.byteLength)) await stream.drained()
      if (stream.ended || this.#state === 'stopped') return false
      stream.send(frame)
    }
    this.#position = entry.position
    return true
  }

  #completeAtEnd(): void {
    const { log, onComplete } = this.#options
    if (this.#completed || !log.closed || this.#position.n < log.head.n) return
    this.#completed = true
    onComplete?.()
  }
}

/** Tells a reader what it will not get; the frame's id is where delivery goes on. */
export function sendGap(stream: EventStream, gap: { from: string; to: string; reason: GapReason }): void {
  const data: GapData = gap
  stream.control('gap', data, { id: gap.to })
}
