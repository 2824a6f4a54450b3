import type { LogEntry, ReadableLog } from '@tributary/eventlog'
import type { Topic } from '@tributary/protocol'
import { entryFrame, type FrameForm } from './entry-frame.ts'
import type { EventStream } from './event-stream.ts'
import type { ReaderPlace } from './reader-place.ts'
import type { TurnGate } from './turn-gate.ts'

export interface LogReplayOptions {
  readonly log: ReadableLog
  readonly stream: EventStream
  readonly form: FrameForm
  /** What it takes its turn at for each page that it reads. */
  readonly gate: TurnGate
  /** Asked before each page, as they may change. `undefined`: all there are. */
  readonly topics?: (() => readonly Topic[]) | undefined
  /** Whether an entry is for this reader. Default: every one. */
  readonly accepts?: ((entry: LogEntry) => boolean) | undefined
}

/** One time that a reader reads its log up to the head, at its own pace. */
export class LogReplay {
  readonly #options: LogReplayOptions
  readonly #place: ReaderPlace
  #isStopped = false

  constructor(options: LogReplayOptions, place: ReaderPlace) {
    this.#options = options
    this.#place = place
  }

  /** Whether it goes no further. */
  get stopped(): boolean {
    return this.#isStopped || this.#options.stream.ended
  }

  stop(): void {
    this.#isStopped = true
  }

  /**
   * Reads up to the head.
   *
   * @param atHead called in the turn of the event loop in which it is found to be there, unless it was stopped.
   * @param relocates whether the log was rewound, so that the reader's place is to be judged anew.
   */
  async run(atHead: () => void, relocates: boolean): Promise<void> {
    const { log, topics, stream, gate } = this.#options
    const place = this.#place
    const sentBefore = stream.eventsSent
    if (relocates) await this.#relocate()
    while (!this.stopped) {
      await gate.take()
      const headAtRead = log.head
      const selected = topics?.()
      const bounds = { maxChars: stream.maxBytes }
      const page = await log.read(
        place.readUpToN,
        selected === undefined ? bounds : { topics: selected, ...bounds },
      )
      if (this.stopped) return
      place.tellLost(page)
      if (!page.entries.every((entry) => this.#sendAtOnce(entry))) {
        // The rest of the page is read again then: kept for who does not read, it would come on top of his outbox.
        await stream.drained()
        continue
      }
      if (page.hasMore) continue
      if (headAtRead.n > place.position.n) place.moveTo(headAtRead)
      if (log.head.n > place.position.n) continue
      stream.countReplayed(stream.eventsSent - sentBefore)
      atHead()
      return
    }
  }

  async #relocate(): Promise<void> {
    const { log, topics, gate } = this.#options
    await gate.take()
    const point = await log.locate({ kind: 'event', ...this.#place.position }, topics?.())
    if (!this.stopped) this.#place.relocate(point)
  }

  /** Sends the entry or passes over it. Answers whether there was room. */
  #sendAtOnce(entry: LogEntry): boolean {
    const { stream, form, accepts } = this.#options
    const { sent } = this.#place
    if ((accepts?.(entry) ?? true) && !sent.has(entry)) {
      const frame = entryFrame(entry, form)
      if (stream.ended || !stream.hasRoomNowFor(frame.byteLength)) return false
      this.#place.send(entry, frame)
    }
    sent.pass(entry)
    this.#place.moveTo(entry.position)
    return true
  }
}
