import type { ServerResponse } from 'node:http'
import type { StreamSink } from './stream-sink.ts'

/** How long a peer may take to read the end of its stream before the socket is cut. */
const END_GRACE_MS = 5_000

/** Headers as frameworks collect them. */
export type AnswerHeaders = Readonly<Record<string, string | number | string[] | undefined>>

/**
 * A sink over Node's own HTTP answer. Writes the head at once, so that a reader knows it is connected.
 *
 * What comes alone is written at once; what follows within the same turn of the event loop is gathered and
 * written together at the end of it, so that a turn costs one write or two, however much happens in it.
 */
export class NodeSink implements StreamSink {
  readonly #response: ServerResponse
  readonly #onDrain: (() => void)[] = []
  #gathered: Uint8Array[] = []
  #gatheredBytes = 0
  #inTurn = false
  // Whether the last turn had more than one write: then this one is expected to, and gathers from the first.
  #bursting = false

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
    return this.#response.writableLength + this.#gatheredBytes
  }

  get closed(): boolean {
    return this.#response.writableEnded || this.#response.destroyed
  }

  write(bytes: Uint8Array): void {
    if (this.closed) return
    if (!this.#inTurn) {
      this.#inTurn = true
      setImmediate(this.#endTurn)
      if (!this.#bursting) {
        this.#response.write(bytes, this.#onWritten)
        return
      }
    }
    this.#gathered.push(bytes)
    this.#gatheredBytes += bytes.byteLength
  }

  end(): void {
    if (this.closed) return
    const response = this.#response
    const cut = setTimeout(() => response.destroy(), END_GRACE_MS)
    cut.unref()
    response.once('close', () => clearTimeout(cut))
    this.#flush()
    response.end()
  }

  onDrain(listener: () => void): void {
    this.#onDrain.push(listener)
  }

  onClose(listener: () => void): void {
    this.#response.once('close', listener)
  }

  readonly #endTurn = (): void => {
    this.#inTurn = false
    this.#bursting = this.#gathered.length > (this.#bursting ? 1 : 0)
    if (this.closed) return
    this.#flush()
  }

  #flush(): void {
    if (this.#gathered.length === 0) return
    const bytes =
      this.#gathered.length === 1 ? this.#gathered[0] : Buffer.concat(this.#gathered, this.#gatheredBytes)
    this.#gathered = []
    this.#gatheredBytes = 0
    this.#response.write(bytes, this.#onWritten)
  }

  // Node's own 'drain' comes only past its own mark, which is not our bound.
  readonly #onWritten = (): void => {
    if (this.pendingBytes === 0) for (const listener of this.#onDrain) listener()
  }
}
