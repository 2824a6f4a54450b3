import type { LogEntry, ReadableLog } from '@tributary/eventlog'
import {
  CLOSED_MARK,
  type Cursor,
  type DisconnectReason,
  type Position,
  RECONNECTS,
  type Topic,
} from '@tributary/protocol'
import { DEFAULT_FORM, type FrameForm } from './entry-frame.ts'
import type { EventStream } from './event-stream.ts'
import type { Frame } from './frame.ts'
import type { HeartbeatFrames } from './heartbeat-frames.ts'
import { isStoreTrouble, LogReader, type OverflowPolicy } from './log-reader.ts'
import { SentMarks } from './sent-marks.ts'
import type { StreamSlot } from './stream-admission.ts'
import type { StreamCredential } from './stream-credential.ts'
import type { StreamEnd } from './stream-end.ts'
import type { SinkFactory } from './stream-sink.ts'
import type { TurnGate } from './turn-gate.ts'

export interface ServeOptions {
  readonly log: ReadableLog
  /** Makes the sink, once nothing can go wrong any more that could be answered otherwise. */
  readonly sink: SinkFactory
  /** Named in the `connection` event. */
  readonly connectionId: string
  /** Named in the `connection` event of a run's stream. */
  readonly runId?: string
  /** What the reader presented. */
  readonly cursor?: Cursor
  /** The same as it came, which is sent back. */
  readonly cursorText?: string
  /** Where a reader without a cursor begins: a run's at the oldest event, a hub's at the head. */
  readonly startAt: 'oldest' | 'head'
  readonly form?: FrameForm
  readonly timeoutMs: number
  readonly overflow: OverflowPolicy
  /** Whether the stream follows the log, and hears of new entries by itself; else its owner does, and offers them. */
  readonly follow: boolean
  /** Whether it is the service's own, to watch itself by: in no count, and ended by who opened it. Default false. */
  readonly internal?: boolean
  readonly topics?: () => readonly Topic[]
  readonly accepts?: (entry: LogEntry) => boolean
  readonly onError?: (error: unknown) => void
  /** What it is opened with: it ends with that. Default: nothing, which has no end. */
  readonly credential?: StreamCredential | undefined
  /** Its place, from here on the server's to give back. Default: one is taken, for no address. */
  readonly slot?: StreamSlot
}

/** What the server adds to what it was asked to serve. */
export interface LogStreamPlace {
  /** The reader gets what comes after. */
  readonly after: Position
  /** What its replay takes its turn at. */
  readonly gate: TurnGate
  /** What is gone up to this number the reader has been told, or does not miss. */
  readonly toldUpToN: number | undefined
  /** As of its reader. */
  readonly later: (again: () => void) => void
}

/** One reader's open stream over one log. */
export class LogStream {
  readonly stream: EventStream
  readonly connectionId: string
  readonly #log: ReadableLog
  readonly #reader: LogReader
  readonly #follow: boolean

  constructor(stream: EventStream, options: ServeOptions, { after, gate, toldUpToN, later }: LogStreamPlace) {
    const { log, connectionId, form = DEFAULT_FORM, follow, overflow, topics, accepts, onError } = options
    this.stream = stream
    this.connectionId = connectionId
    this.#log = log
    this.#follow = follow
    this.#reader = new LogReader({
      log,
      stream,
      form,
      gate,
      after,
      toldUpToN,
      later,
      sent: new SentMarks(options.cursor),
      overflow,
      topics,
      accepts,
      // Who has the terminal event is known by its cursor. Who filtered it out gets that cursor here.
      onComplete: (hasTerminal) =>
        stream.end('complete', undefined, hasTerminal ? undefined : log.idOf(log.head)),
      onError: (error) => {
        onError?.(error)
        stream.end(isStoreTrouble(error) ? 'busy' : 'upstream_lost')
      },
    })
  }

  /** The last event that this reader has, or need not have. */
  get lastEventId(): string {
    return this.#reader.cursor
  }

  get live(): boolean {
    return this.#reader.live
  }

  /** Begins to read: replay, then live. */
  start(): void {
    if (this.stream.ended) return
    const untail = this.#follow ? this.#log.tail((entry) => this.#reader.offer(entry)) : undefined
    const unrewind = this.#follow ? this.#log.onRewind(() => this.rewind()) : undefined
    this.stream.onEnd(() => {
      untail?.()
      unrewind?.()
      this.#reader.stop()
    })
    this.#reader.start()
  }

  /**
   * Offers the entry that was just appended. Answers whether it was sent.
   *
   * @param isFor whether it is for this reader, where the caller knows. Default: it is asked.
   */
  offer(entry: LogEntry, isFor?: boolean): boolean {
    return this.#reader.offer(entry, isFor)
  }

  /** Sends an event that is in no log. The caller has asked whether there is room. @param key as of its stream. */
  send(frame: Frame, key?: string): void {
    this.#reader.tellDropped()
    this.stream.send(frame, key)
  }

  /** Goes without an event of low priority that is in no log and finds no room. Its reader is told of that. */
  drop(): void {
    this.#reader.drop()
  }

  /** For the owner, where the log is rewound: its reader is told what it has lost. */
  rewind(): void {
    this.#reader.rewind()
  }

  heartbeat(frames: HeartbeatFrames, timestamp: number): void {
    this.#reader.tellDropped()
    this.stream.controlFrame(frames.frame(this.lastEventId, timestamp))
  }

  /** Says why, and ends. Who is not to come back, and does all the same, is known by its cursor then. */
  end(reason: DisconnectReason, message?: string): void {
    // Who has the terminal event is known by that.
    const staysAway = !RECONNECTS[reason] && reason !== 'complete'
    this.stream.end(reason, message, staysAway ? `${this.lastEventId}${CLOSED_MARK}` : undefined)
  }

  onEnd(listener: (end: StreamEnd) => void): void {
    this.stream.onEnd(listener)
  }
}
