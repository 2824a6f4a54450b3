import type { ServerResponse } from 'node:http'
import type { StreamSink } from './stream-sink.ts'

/** How long a peer may take to read the end of its stream before the socket is cut. */
const END_GRACE_MS = 5_000

/** Headers as frameworks collect them. */
export type AnswerHeaders = Readonly<Record<string, string | number | string[] | undefined>>

/** A sink over Node's own HTTP answer. Writes the head at once, so that a reader knows it is connected. */
export class NodeSink implements StreamSink {
  readonly #response: ServerResponse

  constructor(response: ServerResponse, headers: AnswerHeaders) {
    this.#response = response
    // A reader that resets its connection is closed, not an error of ours.
    response.on('error', () => response.destroy())
    if (response.destroyed) return
    for (const name in headers) {
      const value = headers[name]
      if (value !== undefined) response.setHeader(name, value)
    }
    response.writeHead(200)
    response.flushHeaders()
  }

  get pendingBytes(): number {
    return this.#response.writableLength
  }

  get closed(): boolean {
    return this.#response.writableEnded || this.#response.destroyed
  }

  write(bytes: Uint8Array): void {
    if (!this.closed) this.#response.write(bytes)
  }

  end(): void {
    if (this.closed) return
    const response = this.#response
    const cut = setTimeout(() => response.destroy(), END_GRACE_MS)
    cut.unref()
    response.once('close', () => clearTimeout(cut))
    response.end()
  }

  onDrain(listener: () => void): void {
    this.#response.on('drain', listener)
  }

  onClose(listener: () => void): void {
    this.#response.once('close', listener)
  }
}
