import {
  type ConsistencyFault,
  type DisconnectReason,
  ProblemError,
  type StreamTotals,
} from '@tributary/protocol'
import { LocalUserQuota } from '@tributary/quota'
import { HeartbeatFrames } from './heartbeat-frames.ts'
import type { LogStream, ServeOptions } from './log-stream.ts'
import { OpenStreams } from './open-streams.ts'
import { placeFaults } from './place-faults.ts'
import { type PollOptions, pollLog } from './poll-log.ts'
import type { PollPage } from './poll-page.ts'
import { ReaderStreams } from './reader-streams.ts'
import { spread } from './spread.ts'
import { type AdmitOptions, StreamAdmission, type StreamLimits, type StreamSlot } from './stream-admission.ts'
import type { StreamCredential } from './stream-credential.ts'
import { StreamOpener } from './stream-opener.ts'
import {
  DEFAULT_EXPIRY_WARNING_MS,
  DEFAULT_HEARTBEAT_MS,
  type StreamServerOptions,
} from './stream-server-options.ts'
import { TimerWheel } from './timer-wheel.ts'
import { TurnGate } from './turn-gate.ts'
import { WaitingPolls } from './waiting-polls.ts'

/** The part of a stream's timeout that may be taken off it, so that streams opened together do not end together. */
const TIMEOUT_JITTER = 0.1

/** What all streams of a service share: one timer, one heartbeat, the bounds. */
export class StreamServer {
  readonly #options: StreamServerOptions
  readonly #wheel: TimerWheel
  readonly #streams: OpenStreams
  readonly #opener: StreamOpener
  readonly #gate = new TurnGate()
  readonly #admission: StreamAdmission
  readonly #readers: ReaderStreams
  readonly #polls: WaitingPolls
  readonly #waiting = new Set<WaitingPolls>()

  constructor(options: StreamServerOptions) {
    const { clock } = options
    const wheel = new TimerWheel(clock)
    this.#options = options
    this.#wheel = wheel
    this.#opener = new StreamOpener({ server: options, wheel, gate: this.#gate })
    const timerOptions = {
      wheel,
      heartbeats: new HeartbeatFrames(),
      heartbeatMs: this.heartbeatMs,
      expiryWarningMs: options.expiryWarningMs ?? DEFAULT_EXPIRY_WARNING_MS,
      now: () => clock.now(),
    }
    this.#streams = new OpenStreams(timerOptions, (credential) => this.#isRevoked(credential))
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

  /** What of its streams, timers and places does not fit together. Looks at each: for whoever asks now and then. */
  faults(): ConsistencyFault[] {
    return [...this.#streams.faults(), ...placeFaults(this.#admission, this.#streams)]
  }

  /** Looks at every stream: for whoever asks now and then. */
  totals(): StreamTotals {
    return this.#streams.totals()
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
      return this.#admission.take(options, place)
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
      const opened = this.#opener.open(options, start)
      if (!options.internal) this.#keep(opened, options, slot)
      if (following !== undefined) opened.onEnd(() => following.end())
      return opened
    } catch (error) {
      following?.end()
      slot?.release()
      throw error
    }
  }

  /** Calls back once what was sent to streams in this turn of the event loop has been handed to their sockets. */
  afterFlush(callback: () => void): void {
    this.#opener.afterFlush(callback)
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
    this.#streams.renew(opened, credential)
  }

  /** Ends every stream whose credential is revoked, and answers every such poll. Answers how many streams there were. */
  endRevoked(): number {
    const ended = this.#streams.endRevoked()
    for (const polls of this.#waiting) polls.endWhere((credential) => this.#isRevoked(credential))
    return ended
  }

  /** Ends every stream that is open now. */
  endAll(reason: DisconnectReason): void {
    this.#streams.endAll(reason)
  }

  /**
   * Ends every stream to be resumed elsewhere, and answers every poll that waits: over a time where they are many,
   * so that not all come back at once. From here on no poll waits. Streams that are opened in between end at the end.
   *
   * @param overMs the longest it may take. @param limit aborted when there is no more time.
   */
  async drain(overMs: number, limit?: AbortSignal): Promise<void> {
    const streams = [...this.#streams.all()].map((opened) => () => opened.end('drain'))
    await spread([...this.#polls.close(), ...streams], { clock: this.#options.clock, overMs, limit })
    this.endAll('drain')
  }

  #keep(opened: LogStream, { timeoutMs, credential }: ServeOptions, slot: StreamSlot | undefined): void {
    const { random = Math.random } = this.#options
    const lastsMs = timeoutMs * (1 - TIMEOUT_JITTER * random())
    this.#streams.add(opened, { lastsMs, credential, slot })
  }

  #refuseRevoked(credential: StreamCredential | undefined): void {
    if (this.#isRevoked(credential))
      throw new ProblemError('token_revoked', 'The token was revoked; sign in anew.')
  }

  #isRevoked(credential: StreamCredential | undefined): boolean {
    return credential !== undefined && this.#options.isRevoked?.(credential) === true
  }
}
