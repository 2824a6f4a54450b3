import {
  type DisconnectedData,
  type DisconnectReason,
  encodeFrame,
  type GapData,
  NEVER_RETRY_MS,
  RECONNECTS,
} from '@tributary/protocol'
import { toBytes } from './entry-frame.ts'
import { type DropReason, NO_METER, type StreamMeter } from './stream-meter.ts'
import type { StreamSink } from './stream-sink.ts'

/** The most bytes that wait for a reader before it counts as full. */
export const DEFAULT_OUTBOX_MAX_BYTES = 262_144

/** Why a stream ended: what its reader was told, or `gone` where the reader left. */
export type StreamEnd = DisconnectReason | 'gone'

export interface EventStreamOptions {
  /** The bound of its outbox. Default `DEFAULT_OUTBOX_MAX_BYTES`. */
  readonly maxBytes?: number
  /** Milliseconds since 1970, as exact as a status needs. Default `Date.now`. */
  readonly now?: () => number
  /** Default: nothing is counted beyond the stream itself. */
  readonly meter?: StreamMeter
}

/** One open stream: counts what it sends, knows whether it has room, and says why it ends. */
export class EventStream {
  readonly #sink: StreamSink
  readonly #maxBytes: number
  readonly #now: () => number
  readonly #meter: StreamMeter
  readonly #onEnd: ((end: StreamEnd) => void)[] = []
  #waiting: (() => void)[] = []
  #end: StreamEnd | undefined
  #eventsSent = 0
  #bytesSent = 0
  #eventsDropped = 0
  #lastSentAt: number

  constructor(sink: StreamSink, options: EventStreamOptions = {}) {
    const { maxBytes = DEFAULT_OUTBOX_MAX_BYTES, now = Date.now, meter = NO_METER } = options
    this.#sink = sink
    this.#maxBytes = maxBytes
    this.#now = now
    this.#meter = meter
    this.#lastSentAt = now()
    sink.onDrain(() => this.#wake())
    sink.onClose(() => this.#finish('gone'))
    // The reader may have left while its stream was being prepared.
    if (sink.closed) this.#end = 'gone'
    else meter.opened()
  }

  get ended(): boolean {
    return this.#end !== undefined
  }

  get eventsSent(): number {
    return this.#eventsSent
  }

  get bytesSent(): number {
    return this.#bytesSent
  }

  /** Events of low priority that its reader went without, for it had no room. */
  get eventsDropped(): number {
    return this.#eventsDropped
  }

  /** When an event was last sent, or the stream was opened; in milliseconds since 1970. */
  get lastSentAt(): number {
    return this.#lastSentAt
  }

  /** Bytes that wait for its reader. */
  get pendingBytes(): number {
    return this.#sink.pendingBytes
  }

  /** Counts an event that its reader goes without. */
  countDropped(reason: DropReason): void {
    this.#eventsDropped += 1
    this.#meter.dropped(reason)
  }

  /** Counts the events that its reader has caught up on. */
  countReplayed(events: number): void {
    this.#meter.replayed(events)
  }

  /** Whether a frame of this many bytes fits. An empty outbox takes any, so whatever is allowed is delivered. */
  hasRoomFor(bytes: number): boolean {
    const pending = this.#sink.pendingBytes
    return pending === 0 || pending + bytes <= this.#maxBytes
  }

  /** Resolves when the outbox has emptied, or the stream has ended. */
  drained(): Promise<void> {
    if (this.ended || this.#sink.pendingBytes === 0) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Sends an event's frame. The caller has asked whether there is room. */
  send(frame: Uint8Array): void {
    if (this.ended) return
    this.#eventsSent += 1
    this.#lastSentAt = this.#now()
    this.#write(frame)
  }

  /** Sends a control frame: for this stream alone, stored nowhere. */
  control(event: string, data: unknown, fields: { id?: string; retryMs?: number } = {}): void {
    if (!this.ended) this.#write(toBytes(encodeFrame({ ...fields, event, data: JSON.stringify(data) })))
  }

  /** Tells its reader what it will not get. @param id where delivery goes on: `to`, or earlier. */
  gap(gap: GapData, id: string): void {
    if (this.ended) return
    this.#meter.gap(gap.reason)
    this.control('gap', gap, { id })
  }

  /** Sends a control frame that is the same for many. */
  controlFrame(frame: Uint8Array): void {
    if (!this.ended) this.#write(frame)
  }

  /**
   * Says why, and ends. The second call does nothing.
   *
   * @param id the cursor that its reader is left with. Default: the last it was sent.
   */
  end(reason: DisconnectReason, message?: string, id?: string): void {
    if (this.ended) return
    const reconnect = RECONNECTS[reason]
    const data: DisconnectedData = { reason, reconnect, ...(message === undefined ? {} : { message }) }
    this.control('disconnected', data, {
      ...(reconnect ? {} : { retryMs: NEVER_RETRY_MS }),
      ...(id === undefined ? {} : { id }),
    })
    this.#finish(reason)
    this.#sink.end()
  }

  /** Calls back once when the stream has ended. */
  onEnd(listener: (end: StreamEnd) => void): void {
    if (this.#end === undefined) this.#onEnd.push(listener)
    else listener(this.#end)
  }

  #write(bytes: Uint8Array): void {
    this.#bytesSent += bytes.byteLength
    this.#sink.write(bytes)
  }

  #finish(end: StreamEnd): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#meter.ended(end)
    this.#wake()
    for (const listener of this.#onEnd.splice(0)) listener(end)
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}
