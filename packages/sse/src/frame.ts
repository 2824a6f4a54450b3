const CRLF_BYTES = 2

/**
 * A piece of a stream, made once and sent to any number of readers: as it is, or as a chunk of an HTTP/1.1 answer
 * (RFC 9112, 7.1).
 */
export class Frame {
  /** With the framing of a chunk around it. */
  readonly chunk: Uint8Array
  /** Of the piece itself. */
  readonly byteLength: number

  constructor(text: string) {
    this.byteLength = Buffer.byteLength(text)
    // Small ones share a slab of memory, which costs a fraction of one each.
    this.chunk = Buffer.from(`${this.byteLength.toString(16)}\r\n${text}\r\n`)
  }

  /** The piece itself. */
  get bytes(): Uint8Array {
    const end = this.chunk.byteLength - CRLF_BYTES
    return this.chunk.subarray(end - this.byteLength, end)
  }
}
