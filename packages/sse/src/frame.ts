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

  /** @param content its text, or the frames that it is put together of. */
  constructor(content: string | readonly Frame[]) {
    if (typeof content === 'string') {
      this.byteLength = Buffer.byteLength(content)
      // Small ones share a slab of memory, which costs a fraction of one each.
      this.chunk = Buffer.from(`${this.byteLength.toString(16)}\r\n${content}\r\n`)
    } else {
      this.byteLength = content.reduce((sum, { byteLength }) => sum + byteLength, 0)
      this.chunk = joined(content, this.byteLength)
    }
  }

  /** The piece itself. */
  get bytes(): Uint8Array {
    const end = this.chunk.byteLength - CRLF_BYTES
    return this.chunk.subarray(end - this.byteLength, end)
  }
}

/** One chunk for all of them: to the parser of a reader each chunk costs as much as an event. */
function joined(frames: readonly Frame[], byteLength: number): Uint8Array {
  const head = `${byteLength.toString(16)}\r\n`
  const chunk = Buffer.allocUnsafe(head.length + byteLength + CRLF_BYTES)
  let at = chunk.write(head, 'latin1')
  for (const { bytes } of frames) {
    chunk.set(bytes, at)
    at += bytes.byteLength
  }
  chunk.write('\r\n', at, 'latin1')
  return chunk
}
