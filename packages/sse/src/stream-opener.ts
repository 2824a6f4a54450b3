import type { StartingPoint } from '@tributary/eventlog'
import type { ConnectionData, Position } from '@tributary/protocol'
import { EventStream, type EventStreamOptions } from './event-stream.ts'
import { LogStream, type ServeOptions } from './log-stream.ts'
import { PacedSink } from './paced-sink.ts'
import { SentMarks } from './sent-marks.ts'
import { NO_METER } from './stream-meter.ts'
import type { StreamServerOptions } from './stream-server-options.ts'
import type { StreamSink } from './stream-sink.ts'
import type { TimerWheel } from './timer-wheel.ts'
import type { TurnGate } from './turn-gate.ts'
import { WriteTurn } from './write-turn.ts'

const DEFAULT_RETRY_MS = 3_000
/** How soon the place of a reader is judged again where the log was away. */
const JUDGE_AGAIN_MS = 1_000

export interface StreamOpenerOptions {
  readonly server: StreamServerOptions
  readonly wheel: TimerWheel
  /** What replays take their turn at. */
  readonly gate: TurnGate
}

/** Makes the streams of a server, and tells their readers that they stand. */
export class StreamOpener {
  readonly #options: StreamOpenerOptions
  readonly #turn = new WriteTurn()
  readonly #streamOptions: EventStreamOptions
  readonly #internalOptions: EventStreamOptions

  constructor(options: StreamOpenerOptions) {
    this.#options = options
    const { outboxMaxBytes: maxBytes, outboxMaxEvents: maxEvents, meter } = options.server
    const bounds = {
      ...(maxBytes === undefined ? {} : { maxBytes }),
      ...(maxEvents === undefined ? {} : { maxEvents }),
      now: () => options.wheel.now,
    }
    this.#streamOptions = meter === undefined ? bounds : { ...bounds, meter }
    this.#internalOptions = { ...bounds, meter: NO_METER }
  }

  /** Calls back once what was sent to streams in this turn of the event loop has been handed to their sockets. */
  afterFlush(callback: () => void): void {
    this.#turn.afterFlush(callback)
  }

  /**
   * Makes a stream, and sends `connection` and the gap where there is one. Replay and live follow at its `start()`.
   *
   * @param start where its cursor leads to; none where it has none.
   */
  open(options: ServeOptions, start: StartingPoint | undefined): LogStream {
    const { log, cursor, cursorText, startAt, internal = false } = options
    const after: Position = start?.after ?? (startAt === 'head' ? log.head : { ms: 0, n: 0 })
    const stream = new EventStream(
      this.#sinkOf(options),
      internal ? this.#internalOptions : this.#streamOptions,
    )
    // A time is answered with the place that it came to: a clock that is ahead would have it skip what comes next.
    const isTime = cursor?.kind === 'time' && cursor.ms > 0
    const from = isTime ? log.idOf(after) : (cursorText ?? log.idOf(after))
    const { retryMs = DEFAULT_RETRY_MS } = this.#options.server
    // No id before a gap: the cursor that was presented leads nowhere any more.
    const fields = start?.gap === undefined ? { retryMs, id: from } : { retryMs }
    stream.control('connection', connectionData(options), fields)
    const lostUpTo = start?.lostUpTo ?? after
    if (start?.gap !== undefined) {
      const gap = { from: cursorText ?? from, to: log.idOf(lostUpTo), reason: start.gap }
      stream.gap(gap, log.idOf(after) + new SentMarks(cursor).suffix)
    }
    const beginsAtOldest =
      cursor === undefined ? startAt === 'oldest' : cursor.kind === 'time' && cursor.ms === 0
    return new LogStream(stream, options, {
      after,
      gate: this.#options.gate,
      toldUpToN: beginsAtOldest ? undefined : lostUpTo.n,
      later: (again) => void this.#options.wheel.schedule(JUDGE_AGAIN_MS, again),
    })
  }

  #sinkOf({ sink, internal = false }: ServeOptions): StreamSink {
    const { server, wheel } = this.#options
    const { clock, framesPerS = 0 } = server
    const own = sink(this.#turn)
    if (framesPerS <= 0 || internal) return own
    return new PacedSink(own, {
      framesPerS,
      elapsedMs: () => clock.elapsed(),
      after: (delayMs, callback) => wheel.schedule(delayMs, callback),
    })
  }
}

function connectionData({ connectionId, runId, cursor }: ServeOptions): ConnectionData {
  return {
    status: 'connected',
    emitterId: connectionId,
    clientId: connectionId,
    ...(runId === undefined ? {} : { runId }),
    resumed: cursor !== undefined,
  }
}
