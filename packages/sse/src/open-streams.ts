import type { ConsistencyFault, DisconnectReason, StreamTotals } from '@tributary/protocol'
import type { LogStream } from './log-stream.ts'
import type { StreamSlot } from './stream-admission.ts'
import type { StreamCredential } from './stream-credential.ts'
import { streamFaults } from './stream-faults.ts'
import { StreamTimer, type StreamTimerOptions } from './stream-timer.ts'

/** What is held for a stream as long as it is open. */
export interface HeldForStream {
  /** How long it lasts at most, in ms. */
  readonly lastsMs: number
  readonly credential: StreamCredential | undefined
  /** Given back when it ends. */
  readonly slot: StreamSlot | undefined
}

/** The streams of a server that are open, each with its timer and its place. */
export class OpenStreams {
  readonly #timerOptions: StreamTimerOptions
  readonly #isRevoked: (credential: StreamCredential | undefined) => boolean
  readonly #timers = new Map<LogStream, StreamTimer>()
  readonly #slots = new Map<LogStream, StreamSlot>()
  #eventsOfEnded = 0
  #bytesOfEnded = 0

  constructor(
    timerOptions: StreamTimerOptions,
    isRevoked: (credential: StreamCredential | undefined) => boolean,
  ) {
    this.#timerOptions = timerOptions
    this.#isRevoked = isRevoked
  }

  get size(): number {
    return this.#timers.size
  }

  has(opened: LogStream): boolean {
    return this.#timers.has(opened)
  }

  /** The places of those that have one. */
  slots(): IterableIterator<StreamSlot> {
    return this.#slots.values()
  }

  all(): IterableIterator<LogStream> {
    return this.#timers.keys()
  }

  /** Holds a stream until it ends. */
  add(opened: LogStream, { lastsMs, credential, slot }: HeldForStream): void {
    this.#timers.set(opened, new StreamTimer(this.#timerOptions, opened, lastsMs, credential))
    if (slot !== undefined) this.#slots.set(opened, slot)
    opened.stream.onEnd(() => this.#forget(opened))
    // It may have been while the stream was being opened.
    this.#endIfRevoked(opened, credential)
  }

  /** Has a stream go by another credential from here on. It ends at once where that is revoked. */
  renew(opened: LogStream, credential: StreamCredential | undefined): void {
    this.#timers.get(opened)?.renew(credential)
    this.#endIfRevoked(opened, credential)
  }

  /** Ends those whose credential is revoked. Answers how many there were. */
  endRevoked(): number {
    let ended = 0
    for (const [opened, timer] of this.#timers) if (this.#endIfRevoked(opened, timer.credential)) ended += 1
    return ended
  }

  endAll(reason: DisconnectReason): void {
    for (const opened of this.all()) opened.end(reason)
  }

  /** Looks at every stream: for whoever asks now and then. */
  totals(): StreamTotals {
    let [events, bytes, pendingBytes, maxPendingBytes] = [this.#eventsOfEnded, this.#bytesOfEnded, 0, 0]
    for (const { stream } of this.all()) {
      events += stream.eventsSent
      bytes += stream.bytesSent
      pendingBytes += stream.pendingBytes
      maxPendingBytes = Math.max(maxPendingBytes, stream.pendingBytes)
    }
    return { open: this.size, events, bytes, pendingBytes, maxPendingBytes }
  }

  /** What of the streams and timers does not fit together. Looks at each: for whoever asks now and then. */
  faults(): ConsistencyFault[] {
    const forget = (opened: LogStream) => this.#forget(opened)
    return streamFaults({ streams: this.#timers, wheel: this.#timerOptions.wheel, forget })
  }

  #forget(opened: LogStream): void {
    this.#timers.get(opened)?.stop()
    if (!this.#timers.delete(opened)) return
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
}
