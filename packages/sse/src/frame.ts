const CRLF = '\r\n'

/**
 * A piece of a stream, made once and sent to any number of readers: as it is, or as a chunk of an HTTP/1.1 answer
 * (RFC 9112, 7.1). It is encoded when it is first sent, for most of a burst is only ever sent as a part of another.
 */
export class Frame {
  /** Of the piece itself. */
  readonly byteLength: number
  // Let go of once it is encoded.
  #content: string | readonly Frame[]
  #chunk: Buffer | undefined

  /** @param content its text, or the frames that it is put together of. */
  constructor(content: string | readonly Frame[]) {
    this.#content = content
    this.byteLength =
      typeof content === 'string'
        ? Buffer.byteLength(content)
        : content.reduce((sum, { byteLength }) => sum + byteLength, 0)
  }

  /** With the framing of a chunk around it. */
  get chunk(): Uint8Array {
    return this.#encoded()
  }

  /** The piece itself. */
  get bytes(): Uint8Array {
    const chunk = this.#encoded()
    const end = chunk.byteLength - CRLF.length
    return chunk.subarray(end - this.byteLength, end)
  }

  #encoded(): Buffer {
    this.#chunk ??= this.#encode()
    this.#content = ''
    return this.#chunk
  }

  #encode(): Buffer {
    const head = this.byteLength.toString(16) + CRLF
    // Small ones share a slab of memory, which costs a fraction of one each.
    if (typeof this.#content === 'string') return Buffer.from(head + this.#content + CRLF)
    const chunk = Buffer.allocUnsafe(head.length + this.byteLength + CRLF.length)
    const end = this.#writeTo(chunk, chunk.write(head))
    chunk.write(CRLF, end)
    return chunk
  }

  /** Answers where it ends there. */
  #writeTo(target: Buffer, start: number): number {
    const content = this.#content
    if (this.#chunk !== undefined) target.set(this.bytes, start)
    else if (typeof content === 'string') target.write(content, start)
    else content.reduce((at, frame) => frame.#writeTo(target, at), start)
    return start + this.byteLength
  }
}
