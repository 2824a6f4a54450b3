import type { StreamHeaders } from './header-builder.ts'
import type { StreamSink } from './stream-sink.ts'

/** A sink over a Web `Response`, for any framework that answers with one. */
export class WebSink implements StreamSink {
  /** What the route handler returns. */
  readonly response: Response
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  #closed = false
  readonly #onDrain: (() => void)[] = []
  readonly #onClose: (() => void)[] = []

  /** @param signal aborted when the request is; some frameworks do not cancel the body by themselves. */
  constructor(headers: StreamHeaders, signal?: AbortSignal) {
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => {
          for (const listener of this.#onDrain) listener()
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

  get closed(): boolean {
    return this.#closed
  }

  write(bytes: Uint8Array): void {
    if (!this.#closed) this.#controller?.enqueue(bytes)
  }

  end(): void {
    if (this.#closed) return
    this.#controller?.close()
    this.#close()
  }

  onDrain(listener: () => void): void {
    this.#onDrain.push(listener)
  }

  onClose(listener: () => void): void {
    if (this.#closed) listener()
    else this.#onClose.push(listener)
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const listener of this.#onClose.splice(0)) listener()
  }
}
