import type { Frame } from './frame.ts'
import type { StreamHeaders } from './header-builder.ts'
import type { SinkOwner, StreamSink } from './stream-sink.ts'

/** How long a peer may take to read the end of its stream before it is cut. */
const END_GRACE_MS = 5_000

/** A sink over a Web `Response`, for any framework that answers with one. */
export class WebSink implements StreamSink {
  /** What the route handler returns. */
  readonly response: Response
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  #owner: SinkOwner | undefined
  #closed = false

  /** @param signal aborted when the request is; some frameworks do not cancel the body by themselves. */
  constructor(headers: StreamHeaders, signal?: AbortSignal) {
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => {
          if (!this.#closed) this.#owner?.onSinkDrained()
        },
        cancel: () => this.#close(),
      },
      // A mark of one byte: whatever waits in the queue counts as pending.
      new ByteLengthQueuingStrategy({ highWaterMark: 1 }),
    )
    this.response = new Response(body, { headers })
    if (signal?.aborted) this.end()
    else signal?.addEventListener('abort', () => this.end(), { once: true })
  }

  get pendingBytes(): number {
    return Math.max(0, 1 - (this.#controller?.desiredSize ?? 1))
  }

  get busy(): boolean {
    return this.pendingBytes > 0
  }

  get closed(): boolean {
    return this.#closed
  }

  attach(owner: SinkOwner): void {
    this.#owner = owner
  }

  write(frame: Frame): void {
    if (!this.#closed) this.#controller?.enqueue(frame.bytes)
  }

  /** Nothing is gathered here. */
  flush(): void {}

  end(): void {
    if (this.#closed) return
    this.#controller?.close()
    if (this.busy) this.#cutLater()
    this.#close()
  }

  /** Nobody says when what waits has been read; once it is, breaking the body off changes nothing. */
  #cutLater(): void {
    const cut = setTimeout(
      () => this.#controller?.error(new Error('the end of the stream was not read')),
      END_GRACE_MS,
    )
    cut.unref?.()
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#owner?.onSinkClosed()
  }
}
