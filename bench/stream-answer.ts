const HEAD_END = '\r\n\r\n'
const LINE_END = '\r\n'

export interface StreamAnswerOptions {
  readonly onStatus: (status: number) => void
  readonly onBody: (bytes: Uint8Array) => void
  /** The body is over. The connection may stay open. */
  readonly onEnd: () => void
}

/** An HTTP answer as it comes from a bare socket: its status, then the bytes of its chunked body. */
export class StreamAnswer {
  readonly #options: StreamAnswerOptions
  #status: number | undefined
  #rest: Buffer = Buffer.alloc(0)
  /** Bytes of the chunk that are to come, its line end with them. */
  #left = 0
  #isOver = false

  constructor(options: StreamAnswerOptions) {
    this.#options = options
  }

  /** @throws Error where what comes is no such answer. */
  feed(bytes: Buffer): void {
    let rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    this.#rest = Buffer.alloc(0)
    if (this.#status === undefined) {
      const end = rest.indexOf(HEAD_END)
      if (end < 0) {
        this.#rest = rest
        return
      }
      this.#status = statusOf(rest.toString('latin1', 0, end))
      this.#options.onStatus(this.#status)
      rest = rest.subarray(end + HEAD_END.length)
    }
    // What a refusal says is of no interest.
    if (this.#status !== 200 || this.#isOver) return
    while (rest.length > 0) {
      if (this.#left === 0) {
        const end = rest.indexOf(LINE_END)
        if (end < 0) {
          this.#rest = rest
          return
        }
        const size = sizeOf(rest.toString('latin1', 0, end))
        if (size === 0) {
          this.#isOver = true
          this.#options.onEnd()
          return
        }
        this.#left = size + LINE_END.length
        rest = rest.subarray(end + LINE_END.length)
      }
      const came = Math.min(this.#left, rest.length)
      const data = Math.min(Math.max(this.#left - LINE_END.length, 0), came)
      if (data > 0) this.#options.onBody(rest.subarray(0, data))
      this.#left -= came
      rest = rest.subarray(came)
    }
  }
}

function statusOf(head: string): number {
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]
  if (status === undefined) throw new Error(`not an answer: ${head}`)
  if (status === '200' && !/^transfer-encoding: chunked\r?$/im.test(head))
    throw new Error(`not chunked: ${head}`)
  return Number(status)
}

function sizeOf(line: string): number {
  if (!/^[\da-f]{1,8}$/i.test(line)) throw new Error(`not the size of a chunk: ${JSON.stringify(line)}`)
  return Number.parseInt(line, 16)
}
