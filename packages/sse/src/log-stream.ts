import type { LogEntry, ReadableLog } from '@tributary/eventlog'
import type { Clock, ConnectionData, Cursor, DisconnectReason, Position, Topic } from '@tributary/protocol'
import { DEFAULT_FORM, type FrameForm } from './entry-frame.ts'
import { EventStream, type StreamEnd } from './event-stream.ts'
import { HeartbeatFrames } from './heartbeat-frames.ts'
import { LogReader, type OverflowPolicy, sendGap } from './log-reader.ts'
import type { StreamSink } from './stream-sink.ts'
import { DEFAULT_TICK_MS, TimerWheel } from './timer-wheel.ts'

/** The part of a stream's timeout that may be taken off it, so that streams opened together do not end together. */
const TIMEOUT_JITTER = 0.1

export interface StreamServerOptions {
  readonly clock: Clock
  /** Default 30,000. */
  readonly heartbeatMs?: number
  /** What a reader is told to wait before it comes back. Default 3,000. */
  readonly retryMs?: number
  /** Bytes that wait for a reader at most. Default 262,144. */
  readonly outboxMaxBytes?: number
  /** 0 to 1. Default `Math.random`. */
  readonly random?: () => number
}

export interface ServeOptions {
  readonly log: ReadableLog
  /** Makes the sink, once nothing can go wrong any more that could be answered otherwise. */
  readonly sink: () => StreamSink
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
  /** Whether the stream hears of new entries by itself; else its owner offers them. */
  readonly follow: boolean
  readonly topics?: () => readonly Topic[]
  readonly accepts?: (entry: LogEntry) => boolean
  readonly onError?: (error: unknown) => void
}

/** What all streams of a service share: one timer, one heartbeat, the bounds. */
export class StreamServer {
  readonly #options: StreamServerOptions
  readonly #wheel: TimerWheel
  readonly #heartbeats = new HeartbeatFrames()
  readonly #streams = new Set<LogStream>()

  constructor(options: StreamServerOptions) {
    this.#options = options
    this.#wheel = new TimerWheel(options.clock)
  }

  /** The streams that are open. */
  get size(): number {
    return this.#streams.size
  }

  /**
   * Opens a stream over a log, and tells its reader so: `connection`, and the gap where there is one. Replay
   * and live follow once the caller has noted the stream and calls its `start()`.
   */
  async serve(options: ServeOptions): Promise<LogStream> {
    const { log, sink, cursor, cursorText, startAt, connectionId, runId, topics } = options
    const { retryMs = 3_000, outboxMaxBytes } = this.#options
    const start = cursor === undefined ? undefined : await log.locate(cursor, topics?.())
    const after: Position = start?.after ?? (startAt === 'head' ? log.head : { ms: 0, n: 0 })
    const stream = new EventStream(sink(), outboxMaxBytes)
    const from = cursorText ?? log.idOf(after)
    const data: ConnectionData = {
      status: 'connected',
      emitterId: connectionId,
      clientId: connectionId,
      ...(runId === undefined ? {} : { runId }),
      resumed: cursor !== undefined,
    }
    // No id before a gap: the cursor that was presented leads nowhere any more.
    stream.control('connection', data, start?.gap === undefined ? { retryMs, id: from } : { retryMs })
    const lostUpTo = start?.lostUpTo ?? after
    if (start?.gap !== undefined) {
      sendGap(stream, { from, to: log.idOf(lostUpTo), reason: start.gap }, log.idOf(after))
    }
    const beginsAtOldest =
      cursor === undefined ? startAt === 'oldest' : cursor.kind === 'time' && cursor.ms === 0
    const opened = new LogStream(stream, after, options, beginsAtOldest ? undefined : lostUpTo.n)
    this.#keep(opened, options.timeoutMs)
    return opened
  }

  /** Ends every stream that is open now. */
  endAll(reason: DisconnectReason): void {
    for (const stream of this.#streams) stream.end(reason)
  }

  #keep(opened: LogStream, timeoutMs: number): void {
    const { clock, heartbeatMs = 30_000, random = Math.random } = this.#options
    const beat = () => {
      cancelBeat = this.#wheel.schedule(heartbeatMs, beat)
      if (opened.stream.hasRoomFor(1)) opened.heartbeat(this.#heartbeats, clock.now())
    }
    let cancelBeat = this.#wheel.schedule(heartbeatMs, beat)
    // The wheel calls back up to two ticks late, and a timeout is kept.
    const endsInMs = Math.max(0, timeoutMs * (1 - TIMEOUT_JITTER * random()) - 2 * DEFAULT_TICK_MS)
    const cancelTimeout = this.#wheel.schedule(endsInMs, () => opened.end('timeout'))
    this.#streams.add(opened)
    opened.stream.onEnd(() => {
      cancelBeat()
      cancelTimeout()
      this.#streams.delete(opened)
    })
  }
}

/** One reader's open stream over one log. */
export class LogStream {
  readonly stream: EventStream
  readonly connectionId: string
  readonly #log: ReadableLog
  readonly #reader: LogReader
  readonly #follow: boolean

  constructor(stream: EventStream, after: Position, options: ServeOptions, toldUpToN?: number) {
    const { log, connectionId, form = DEFAULT_FORM, follow, overflow, topics, accepts, onError } = options
    this.stream = stream
    this.connectionId = connectionId
    this.#log = log
    this.#follow = follow
    this.#reader = new LogReader({
      log,
      stream,
      form,
      after,
      ...(toldUpToN === undefined ? {} : { toldUpToN }),
      overflow,
      ...(topics === undefined ? {} : { topics }),
      ...(accepts === undefined ? {} : { accepts }),
      onComplete: () => stream.end('complete'),
      onError: (error) => {
        onError?.(error)
        stream.end('upstream_lost')
      },
    })
  }

  /** The last event that this reader has, or need not have. */
  get lastEventId(): string {
    return this.#log.idOf(this.#reader.settle())
  }

  get live(): boolean {
    return this.#reader.live
  }

  /** Begins to read: replay, then live. */
  start(): void {
    if (this.stream.ended) return
    const unfollow = this.#follow ? this.#log.tail((entry) => this.#reader.offer(entry)) : undefined
    this.stream.onEnd(() => {
      unfollow?.()
      this.#reader.stop()
    })
    this.#reader.start()
  }

  /** Offers the entry that was just appended. Answers whether it was sent. */
  offer(entry: LogEntry): boolean {
    return this.#reader.offer(entry)
  }

  heartbeat(frames: HeartbeatFrames, timestamp: number): void {
    this.stream.controlFrame(frames.frame(this.lastEventId, timestamp))
  }

  end(reason: DisconnectReason, message?: string): void {
    this.stream.end(reason, message)
  }

  onEnd(listener: (end: StreamEnd) => void): void {
    this.stream.onEnd(listener)
  }
}
