import { SseDecoder, type WireEvent } from '@tributary/protocol'
import type { Frame, SinkOwner, StreamSink } from '@tributary/sse'

export interface ReadEvent extends Omit<WireEvent, 'data'> {
  readonly data: unknown
}

/** A sink that keeps what it is given. Its reader takes all at once, unless it is paused. */
export class MemorySink implements StreamSink {
  readonly events: ReadEvent[] = []
  readonly retries: number[] = []
  readonly #decoder = new SseDecoder({
    onEvent: (event) => this.events.push({ ...event, data: JSON.parse(event.data) }),
    onRetry: (retryMs) => this.retries.push(retryMs),
  })
  #owner: SinkOwner | undefined
  #paused = false
  #pendingBytes = 0
  #closed = false

  get pendingBytes(): number {
    return this.#pendingBytes
  }

  get busy(): boolean {
    return this.#pendingBytes > 0
  }

  get closed(): boolean {
    return this.#closed
  }

  /** What came, without the control frames of every stream. */
  get received(): unknown[] {
    return this.events.filter(({ type }) => !CONTROL.includes(type)).map(({ data }) => data)
  }

  get types(): string[] {
    return this.events.map(({ type }) => type)
  }

  get lastEventId(): string | undefined {
    return this.events.findLast(({ id }) => id !== undefined)?.id
  }

  write(frame: Frame): void {
    if (this.#closed) return
    this.#decoder.feed(frame.bytes)
    if (this.#paused) this.#pendingBytes += frame.byteLength
  }

  /** Nothing is gathered here. */
  flush(): void {}

  /** From here on its reader takes nothing. */
  pause(): void {
    this.#paused = true
  }

  /** Its reader takes all that waits. */
  resume(): void {
    this.#paused = false
    this.#pendingBytes = 0
    this.#owner?.onSinkDrained()
  }

  /** Its reader goes away. */
  leave(): void {
    this.end()
  }

  end(): void {
    if (this.#closed) return
    this.#closed = true
    this.#owner?.onSinkClosed()
  }

  attach(owner: SinkOwner): void {
    this.#owner = owner
  }
}

const CONTROL = ['connection', 'gap', 'heartbeat', 'auth_expiring', 'disconnected']
