import {
  type DisconnectedData,
  type DisconnectReason,
  encodeFrame,
  type GapData,
  NEVER_RETRY_MS,
  RECONNECTS,
} from '@tributary/protocol'
import { Frame } from './frame.ts'
import { Outbox } from './outbox.ts'
import type { StreamEnd } from './stream-end.ts'
import { type DropReason, NO_METER, type StreamMeter } from './stream-meter.ts'
import type { SinkOwner, StreamSink } from './stream-sink.ts'

/** The most bytes that wait for a reader before it counts as full. */
const DEFAULT_OUTBOX_MAX_BYTES = 262_144
/** The most events that wait for it. */
const DEFAULT_OUTBOX_MAX_EVENTS = 4_096

/** What the streams of a service have in common. */
export interface EventStreamOptions {
  /** The bound of an outbox in bytes. Default 256 KB. */
  readonly maxBytes?: number
  /** The bound of an outbox in events. Default 4,096. */
  readonly maxEvents?: number
  /** Milliseconds since 1970, as exact as a status needs. Default `Date.now`. */
  readonly now?: () => number
  /** Default: nothing is counted beyond the stream itself. */
  readonly meter?: StreamMeter
}

/** One open stream: counts what it sends, keeps what its reader cannot take yet, and says why it ends. */
export class EventStream implements SinkOwner {
  readonly #sink: StreamSink
  readonly #options: EventStreamOptions
  // Most readers never have one.
  #outbox: Outbox | undefined
  #onEnd: ((end: StreamEnd) => void)[] = []
  #waiting: (() => void)[] | undefined
  #end: StreamEnd | undefined
  #eventsSent = 0
  #bytesSent = 0
  #eventsDropped = 0
  #lastSentAt: number
  #stalledSince: number | undefined
  #onClosed: (() => void) | 'closed' | undefined

  constructor(sink: StreamSink, options: EventStreamOptions = {}) {
    const { now = Date.now, meter = NO_METER } = options
    this.#sink = sink
    this.#options = options
    this.#lastSentAt = now()
    sink.attach(this)
    // The reader may have left while its stream was being prepared.
    if (sink.closed) this.#end = 'gone'
    else meter.opened()
  }

  get ended(): boolean {
    return this.#end !== undefined
  }

  /** Whether its connection is gone and nobody has said so: it sends to no one. */
  get abandoned(): boolean {
    return !this.ended && (this.#sink.lost ?? this.#sink.closed)
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
    return this.#sink.pendingBytes + (this.#outbox?.byteLength ?? 0)
  }

  /** Events that wait for its reader, but what has been handed to its socket. */
  get pendingEvents(): number {
    return this.#outbox?.size ?? 0
  }

  /** Since when its reader takes nothing, while something waits for it; in milliseconds since 1970. */
  get stalledSince(): number | undefined {
    return this.#stalledSince
  }

  /** Counts an event that its reader goes without. */
  countDropped(reason: DropReason): void {
    this.#eventsDropped += 1
    this.#options.meter?.dropped(reason)
  }

  /** Counts the events that its reader has caught up on. */
  countReplayed(events: number): void {
    this.#options.meter?.replayed(events)
  }

  /** The most bytes that wait for its reader. */
  get maxBytes(): number {
    return this.#options.maxBytes ?? DEFAULT_OUTBOX_MAX_BYTES
  }

  /**
   * Whether a frame of this many bytes fits. An empty outbox takes any, so whatever is allowed is delivered.
   *
   * @param key where one of the same key waits, it makes room.
   */
  hasRoomFor(bytes: number, key?: string): boolean {
    // Who is not known to be slow is not held for it.
    return this.hasRoomNowFor(bytes, key) || !this.#sink.busy
  }

  /** The same for who can wait: what the kernel is not known to have taken counts as waiting. */
  hasRoomNowFor(bytes: number, key?: string): boolean {
    if (this.#fits(bytes, key)) return true
    if (this.#sink.busy) return false
    // What is gathered for the end of the turn is no reader's fault.
    this.#sink.flush()
    return this.#fits(bytes, key)
  }

  /** Whether its reader has got as much as it may at its pace, so that what is of low priority is left out. */
  get paced(): boolean {
    return this.#sink.room === 0
  }

  /** Resolves when nothing waits for its reader any more, or the stream has ended. */
  drained(): Promise<void> {
    if (this.ended || this.pendingBytes === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting ??= []
      this.#waiting.push(resolve)
    })
  }

  /**
   * Sends an event's frame. The caller has asked whether there is room.
   *
   * @param key where one of the same key waits, this one takes its place.
   */
  send(frame: Frame, key?: string): void {
    if (this.ended) return
    this.#eventsSent += 1
    this.#lastSentAt = this.#now()
    this.#write(frame, key)
  }

  /** Sends a control frame: for this stream alone, stored nowhere. */
  control(event: string, data: unknown, fields: { id?: string; retryMs?: number } = {}): void {
    if (!this.ended) this.#write(new Frame(encodeFrame({ ...fields, event, data: JSON.stringify(data) })))
  }

  /** Tells its reader what it will not get. @param id where delivery goes on: `to`, or earlier. */
  gap(gap: GapData, id: string): void {
    if (this.ended) return
    this.#options.meter?.gap(gap.reason)
    this.control('gap', gap, { id })
  }

  /** Sends a control frame that is the same for many. */
  controlFrame(frame: Frame): void {
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
    this.#handOver()
    this.#sink.end()
  }

  /** Calls back once when the stream has ended. */
  onEnd(listener: (end: StreamEnd) => void): void {
    if (this.#end === undefined) this.#onEnd.push(listener)
    else listener(this.#end)
  }

  /** Calls back once when its socket is closed, which after its end takes a moment. One listener. */
  onClosed(listener: () => void): void {
    if (this.#onClosed === 'closed') listener()
    else this.#onClosed = listener
  }

  onSinkDrained(): void {
    this.#stalledSince = undefined
    this.#handOver(this.#sink.room)
    // What it has gathered may go out without another word from it, and who waits would not hear of that.
    this.#sink.flush()
    if (this.pendingBytes === 0) this.#wake()
  }

  onSinkClosed(): void {
    this.#outbox = undefined
    this.#finish('gone')
    const listener = this.#onClosed
    this.#onClosed = 'closed'
    if (typeof listener === 'function') listener()
  }

  #fits(bytes: number, key: string | undefined): boolean {
    const pending = this.pendingBytes
    if (pending === 0) return true
    const { maxEvents = DEFAULT_OUTBOX_MAX_EVENTS } = this.#options
    const replaced = key === undefined ? undefined : this.#outbox?.bytesOf(key)
    const events = this.pendingEvents + (replaced === undefined ? 1 : 0)
    return pending + bytes - (replaced ?? 0) <= this.maxBytes && events <= maxEvents
  }

  #write(frame: Frame, key?: string): void {
    this.#bytesSent += frame.byteLength
    if (this.#outbox === undefined && !this.#sink.busy) {
      this.#sink.write(frame)
      return
    }
    this.#stalledSince ??= this.#now()
    this.#outbox ??= new Outbox()
    if (this.#outbox.add(frame, key)) this.countDropped('conflated')
  }

  /** Gives the sink what waits. @param max how many. Default: all. */
  #handOver(max?: number): void {
    const outbox = this.#outbox
    if (outbox === undefined) return
    const frames = outbox.take(max)
    if (outbox.size === 0) this.#outbox = undefined
    for (const frame of frames) this.#sink.write(frame)
    this.#sink.flush()
  }

  #now(): number {
    const { now = Date.now } = this.#options
    return now()
  }

  #finish(end: StreamEnd): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#options.meter?.ended(end)
    this.#wake()
    const listeners = this.#onEnd
    this.#onEnd = []
    for (const listener of listeners) listener(end)
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    for (const resolve of waiting ?? []) resolve()
  }
}
