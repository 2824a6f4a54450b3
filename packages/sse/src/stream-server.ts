import type { StartingPoint } from '@tributary/eventlog'
import {
  type ConnectionData,
  type ConsistencyFault,
  type DisconnectReason,
  type Position,
  ProblemError,
} from '@tributary/protocol'
import { LocalUserQuota } from '@tributary/quota'
import { EventStream, type EventStreamOptions } from './event-stream.ts'
import { HeartbeatFrames } from './heartbeat-frames.ts'
import { LogStream, type ServeOptions } from './log-stream.ts'
import { PacedSink } from './paced-sink.ts'
import { type PollOptions, pollLog } from './poll-log.ts'
import type { PollPage } from './poll-page.ts'
import { ReaderStreams } from './reader-streams.ts'
import { SentMarks } from './sent-marks.ts'
import { spread } from './spread.ts'
import { type AdmitOptions, StreamAdmission, type StreamLimits, type StreamSlot } from './stream-admission.ts'
import type { StreamCredential } from './stream-credential.ts'
import { streamFaults } from './stream-faults.ts'
import { NO_METER } from './stream-meter.ts'
import {
  DEFAULT_EXPIRY_WARNING_MS,
  DEFAULT_HEARTBEAT_MS,
  type StreamServerOptions,
} from './stream-server-options.ts'
import type { StreamSink } from './stream-sink.ts'
import { StreamTimer, type StreamTimerOptions } from './stream-timer.ts'
import { TimerWheel } from './timer-wheel.ts'
import { TurnGate } from './turn-gate.ts'
import { WaitingPolls } from './waiting-polls.ts'
import { WriteTurn } from './write-turn.ts'

/** The part of a stream's timeout that may be taken off it, so that streams opened together do not end together. */
const TIMEOUT_JITTER = 0.1

/** What all streams hold now, and have sent since the start. */
export interface StreamTotals {
  readonly open: number
  readonly events: number
  readonly bytes: number
  /** Bytes that wait for readers: of all, and of the one with the most. */
  readonly pendingBytes: number
  readonly maxPendingBytes: number
}

/** What all streams of a service share: one timer, one heartbeat, the bounds. */
export class StreamServer {
  readonly #options: StreamServerOptions
  readonly #wheel: TimerWheel
  readonly #streams = new Map<LogStream, StreamTimer>()
  // The places of those that have one.
  readonly #slots = new Map<LogStream, StreamSlot>()
  readonly #polls: WaitingPolls
  readonly #waiting = new Set<WaitingPolls>()
  readonly #gate = new TurnGate()
  readonly #turn = new WriteTurn()
  readonly #streamOptions: EventStreamOptions
  readonly #admission: StreamAdmission
  readonly #readers: ReaderStreams
  readonly #timerOptions: StreamTimerOptions
  #eventsOfEnded = 0
  #bytesOfEnded = 0

  constructor(options: StreamServerOptions) {
    this.#options = options
    this.#wheel = new TimerWheel(options.clock)
    const { clock, outboxMaxBytes: maxBytes, outboxMaxEvents: maxEvents, meter } = options
    this.#streamOptions = {
      ...(maxBytes === undefined ? {} : { maxBytes }),
      ...(maxEvents === undefined ? {} : { maxEvents }),
      ...(meter === undefined ? {} : { meter }),
      now: () => this.#wheel.now,
    }
    this.#timerOptions = {
      wheel: this.#wheel,
      heartbeats: new HeartbeatFrames(),
      heartbeatMs: this.heartbeatMs,
      expiryWarningMs: options.expiryWarningMs ?? DEFAULT_EXPIRY_WARNING_MS,
      now: () => clock.now(),
    }
    this.#polls = this.createWaitingPolls(options.maxWaitingPolls)
    this.#admission = new StreamAdmission(options, () => clock.elapsed())
    this.#readers = new ReaderStreams(options.readers ?? new LocalUserQuota())
  }

  /** How many streams there may be. */
  get limits(): Required<StreamLimits> {
    return this.#admission.limits
  }

  /** The streams that are open or being opened: what the limits count. */
  get admitted(): number {
    return this.#admission.size
  }

  get heartbeatMs(): number {
    return this.#options.heartbeatMs ?? DEFAULT_HEARTBEAT_MS
  }

  /** The streams that are open. */
  get size(): number {
    return this.#streams.size
  }

  /** Polls that wait without a place of their own to be counted at. */
  get waitingPolls(): number {
    return this.#polls.size
  }

  /** Whether a stream is held: it is open, or being opened, and no internal one. */
  has(opened: LogStream): boolean {
    return this.#streams.has(opened)
  }

  /** What of its streams and timers does not fit together. Looks at each: for whoever asks now and then. */
  faults(): ConsistencyFault[] {
    const forget = (opened: LogStream) => this.#forget(opened)
    return streamFaults({ streams: this.#streams, wheel: this.#wheel, forget })
  }

  /** Looks at every stream: for whoever asks now and then. */
  totals(): StreamTotals {
    let [events, bytes, pendingBytes, maxPendingBytes] = [this.#eventsOfEnded, this.#bytesOfEnded, 0, 0]
    for (const { stream } of this.#streams.keys()) {
      events += stream.eventsSent
      bytes += stream.bytesSent
      pendingBytes += stream.pendingBytes
      maxPendingBytes = Math.max(maxPendingBytes, stream.pendingBytes)
    }
    return { open: this.#streams.size, events, bytes, pendingBytes, maxPendingBytes }
  }

  /**
   * Takes the place of a stream before anything is made for it. Whoever takes it gives it back, unless it is handed to
   * `serve`: that gives it back when the stream ends, or does not come to stand.
   *
   * @throws ProblemError as `StreamAdmission.take`.
   */
  admit(options?: AdmitOptions): StreamSlot {
    return this.#admission.take(options)
  }

  /**
   * The same for a stream of a user, who may have so many. Nobody's where none is named.
   *
   * @throws ProblemError as `StreamAdmission.take`, `user_connection_limit`.
   */
  async admitReader(reader: string | undefined, options?: AdmitOptions): Promise<StreamSlot> {
    if (reader === undefined) return this.admit(options)
    const place = await this.#readers.take(reader)
    try {
      return slotWith(this.admit(options), place)
    } catch (error) {
      place.release()
      throw error
    }
  }

  /**
   * Opens a stream over a log, and tells its reader so: `connection`, and the gap where there is one. Replay
   * and live follow once the caller has noted the stream and calls its `start()`.
   *
   * @throws ProblemError as `admit`, where the options bring no place.
   */
  async serve(options: ServeOptions): Promise<LogStream> {
    const slot = options.slot ?? (options.internal ? undefined : this.admit())
    const { log, cursor, topics } = options
    const following = options.follow ? log.follow(topics?.()) : undefined
    try {
      if (following?.ready !== undefined) await following.ready
      // Who begins at the head costs no reading; kept waiting, it would only fill the memory.
      if (cursor !== undefined) await this.#gate.take()
      const start = cursor === undefined ? undefined : await log.locate(cursor, topics?.())
      const opened = this.#open(options, slot, start)
      if (following !== undefined) opened.onEnd(() => following.end())
      return opened
    } catch (error) {
      following?.end()
      slot?.release()
      throw error
    }
  }

  #open(options: ServeOptions, slot: StreamSlot | undefined, start: StartingPoint | undefined): LogStream {
    const { log, sink, cursor, cursorText, startAt, connectionId, runId, internal = false } = options
    const { retryMs = 3_000, framesPerS = 0 } = this.#options
    const after: Position = start?.after ?? (startAt === 'head' ? log.head : { ms: 0, n: 0 })
    const streamOptions = internal ? { ...this.#streamOptions, meter: NO_METER } : this.#streamOptions
    const own = sink(this.#turn)
    const isPaced = framesPerS > 0 && !internal
    const stream = new EventStream(isPaced ? this.#paced(own, framesPerS) : own, streamOptions)
    // A time is answered with the place that it came to: a clock that is ahead would have it skip what comes next.
    const isTime = cursor?.kind === 'time' && cursor.ms > 0
    const from = isTime ? log.idOf(after) : (cursorText ?? log.idOf(after))
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
      const gap = { from: cursorText ?? from, to: log.idOf(lostUpTo), reason: start.gap }
      stream.gap(gap, log.idOf(after) + new SentMarks(cursor).suffix)
    }
    const beginsAtOldest =
      cursor === undefined ? startAt === 'oldest' : cursor.kind === 'time' && cursor.ms === 0
    const opened = new LogStream(stream, options, {
      after,
      gate: this.#gate,
      toldUpToN: beginsAtOldest ? undefined : lostUpTo.n,
    })
    if (!internal) this.#keep(opened, options, slot)
    return opened
  }

  /** Calls back once what was sent to streams in this turn of the event loop has been handed to their sockets. */
  afterFlush(callback: () => void): void {
    this.#turn.afterFlush(callback)
  }

  /** Reads a page of a log, as `pollLog` does; waiting polls share the timer of the streams. */
  async poll(options: Omit<PollOptions, 'clock'>): Promise<PollPage> {
    const { credential, waitMs = 0 } = options
    const clock = { after: (delayMs: number, end: () => void) => this.#wheel.schedule(delayMs, end) }
    this.#refuseRevoked(credential)
    const left = (credential?.expiresAt ?? Number.POSITIVE_INFINITY) - this.#options.clock.now()
    const page = await pollLog({
      waiting: this.#polls,
      ...options,
      waitMs: Math.max(0, Math.min(waitMs, left)),
      clock,
    })
    if (this.#isRevoked(credential))
      throw new ProblemError('token_revoked', 'The token was revoked meanwhile.')
    return page
  }

  /** Polls that are counted, and ended, apart from others of the server. @param max as `WaitingPolls`. */
  createWaitingPolls(max?: number): WaitingPolls {
    const polls = new WaitingPolls(max)
    this.#waiting.add(polls)
    return polls
  }

  /** Has a stream go by another credential from here on. It ends at once where that is revoked. */
  renew(opened: LogStream, credential: StreamCredential | undefined): void {
    this.#streams.get(opened)?.renew(credential)
    this.#endIfRevoked(opened, credential)
  }

  /** Ends every stream whose credential is revoked, and answers every such poll. Answers how many streams there were. */
  endRevoked(): number {
    let ended = 0
    for (const [opened, timer] of this.#streams) if (this.#endIfRevoked(opened, timer.credential)) ended += 1
    for (const polls of this.#waiting) polls.endWhere((credential) => this.#isRevoked(credential))
    return ended
  }

  /** Ends every stream that is open now. */
  endAll(reason: DisconnectReason): void {
    for (const opened of this.#streams.keys()) opened.end(reason)
  }

  /**
   * Ends every stream to be resumed elsewhere, and answers every poll that waits: over a time where they are many,
   * so that not all come back at once. From here on no poll waits. Streams that are opened in between end at the end.
   *
   * @param overMs the longest it may take. @param limit aborted when there is no more time.
   */
  async drain(overMs: number, limit?: AbortSignal): Promise<void> {
    const streams = [...this.#streams.keys()].map((opened) => () => opened.end('drain'))
    await spread([...this.#polls.close(), ...streams], { clock: this.#options.clock, overMs, limit })
    this.endAll('drain')
  }

  #paced(sink: StreamSink, framesPerS: number): StreamSink {
    const { clock } = this.#options
    return new PacedSink(sink, {
      framesPerS,
      elapsedMs: () => clock.elapsed(),
      after: (delayMs, callback) => this.#wheel.schedule(delayMs, callback),
    })
  }

  #keep(opened: LogStream, { timeoutMs, credential }: ServeOptions, slot: StreamSlot | undefined): void {
    const { random = Math.random } = this.#options
    const lastsMs = timeoutMs * (1 - TIMEOUT_JITTER * random())
    this.#streams.set(opened, new StreamTimer(this.#timerOptions, opened, lastsMs, credential))
    if (slot !== undefined) this.#slots.set(opened, slot)
    opened.stream.onEnd(() => this.#forget(opened))
    // It may have been while the stream was being opened.
    this.#endIfRevoked(opened, credential)
  }

  #forget(opened: LogStream): void {
    this.#streams.get(opened)?.stop()
    if (!this.#streams.delete(opened)) return
    this.#eventsOfEnded += opened.stream.eventsSent
    this.#bytesOfEnded += opened.stream.bytesSent
    this.#slots.get(opened)?.release()
    this.#slots.delete(opened)
  }

  /** Not to come back: what it would come back with is refused. */
  #endIfRevoked(opened: LogStream, credential: StreamCredential | undefined): boolean {
    const isRevoked = this.#isRevoked(credential)
    if (isRevoked) opened.end('forced', 'The token was revoked')
    return isRevoked
  }

  #refuseRevoked(credential: StreamCredential | undefined): void {
    if (this.#isRevoked(credential))
      throw new ProblemError('token_revoked', 'The token was revoked; sign in anew.')
  }

  #isRevoked(credential: StreamCredential | undefined): boolean {
    return credential !== undefined && this.#options.isRevoked?.(credential) === true
  }
}

/** One place that is two: both are given back together, once. */
function slotWith(slot: StreamSlot, other: StreamSlot): StreamSlot {
  return {
    release: () => {
      slot.release()
      other.release()
    },
  }
}
