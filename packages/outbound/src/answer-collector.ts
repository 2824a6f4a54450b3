import type { Dispatcher } from 'undici'
import { OutboundError } from './outbound-error.ts'

/** How much of a body is kept, decided once the headers are here. */
export interface BodyLimit {
  readonly maxBytes: number
  /** Past `maxBytes`: `error` fails with `body_too_large`, `truncate` keeps what fits. */
  readonly overflow: 'error' | 'truncate'
}

/** Headers as they came. */
export type AnswerHeaders = Dispatcher.ResponseData['headers']

/** An answer whose body has been read. */
export interface CollectedAnswer {
  readonly status: number
  readonly headers: AnswerHeaders
  readonly bytes: Buffer
  /** Whether there was more than is kept. */
  readonly truncated: boolean
}

/** Shorter pieces are copied together: kept as they are, a body of single bytes would take a hundred times its size. */
const MIN_PIECE_BYTES = 4_096
const BLOCK_BYTES = 65_536

/** The pieces of a body, in memory of about its size. */
class BodyPieces {
  #pieces: Buffer[] = []
  /** What short pieces are copied into, up to `#end`; what is before `#begin` is among the pieces. */
  #block = Buffer.alloc(0)
  #begin = 0
  #end = 0

  add(piece: Buffer): void {
    // Most answers are one piece, which needs no copy.
    if (piece.length >= MIN_PIECE_BYTES || (this.#pieces.length === 0 && this.#end === 0)) {
      this.#closeBlock()
      this.#pieces.push(piece)
      return
    }
    if (this.#end + piece.length > this.#block.length) {
      this.#closeBlock()
      this.#block = Buffer.allocUnsafe(BLOCK_BYTES)
      this.#begin = 0
      this.#end = 0
    }
    piece.copy(this.#block, this.#end)
    this.#end += piece.length
  }

  join(): Buffer {
    this.#closeBlock()
    const [only] = this.#pieces
    return this.#pieces.length === 1 && only !== undefined ? only : Buffer.concat(this.#pieces)
  }

  #closeBlock(): void {
    if (this.#end > this.#begin) this.#pieces.push(this.#block.subarray(this.#begin, this.#end))
    this.#begin = this.#end
  }
}

export interface CollectorOptions {
  readonly limitOf: (status: number, headers: AnswerHeaders) => BodyLimit
  /** Called with what has come, and with the `Content-Length` where there is one. */
  readonly onBytes?: ((received: number, total: number | undefined) => void) | undefined
}

/**
 * Collects one answer straight from undici's parser. A body that is wanted whole needs no stream, and making
 * one for each of thousands of small answers takes as long as all the rest of the request.
 */
export class AnswerCollector implements Dispatcher.DispatchHandler {
  readonly answer: Promise<CollectedAnswer>
  #options: CollectorOptions | undefined
  readonly #resolve: (answer: CollectedAnswer) => void
  readonly #reject: (error: unknown) => void
  #controller: Dispatcher.DispatchController | undefined
  #ended: Error | undefined
  #status = 0
  #headers: AnswerHeaders = {}
  #limit: BodyLimit = { maxBytes: 0, overflow: 'truncate' }
  #total: number | undefined
  #received = 0
  #body = new BodyPieces()

  constructor(options: CollectorOptions) {
    const { promise, resolve, reject } = Promise.withResolvers<CollectedAnswer>()
    this.answer = promise
    this.#resolve = resolve
    this.#reject = reject
    this.#options = options
  }

  /** Ends the request, whatever it is at, and fails with this reason at once. */
  abort(reason: Error): void {
    this.#ended ??= reason
    this.#reject(reason)
    this.#controller?.abort(reason)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#ended !== undefined) controller.abort(this.#ended)
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: AnswerHeaders): void {
    this.#status = status
    this.#headers = headers
    this.#limit = this.#options?.limitOf(status, headers) ?? this.#limit
    this.#total = contentLength(headers['content-length'])
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#ended !== undefined || this.#options === undefined) return
    const { maxBytes, overflow } = this.#limit
    this.#received += chunk.length
    this.#options.onBytes?.(this.#received, this.#total)
    // A length alone is no overflow: the answer to a HEAD names one and has no body.
    const over = this.#received > maxBytes || (this.#total !== undefined && this.#total > maxBytes)
    if (over && overflow === 'error') {
      this.abort(new OutboundError('body_too_large', 'Body too large'))
    } else if (over && this.#received >= maxBytes) {
      this.#body.add(chunk.subarray(0, chunk.length - (this.#received - maxBytes)))
      const controller = this.#controller
      this.#finish(true)
      controller?.abort(new OutboundError('cancelled', 'Cut'))
    } else this.#body.add(chunk)
  }

  onResponseEnd(): void {
    this.#finish(false)
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#reject(this.#ended ?? error)
    this.#letGo()
  }

  #finish(truncated: boolean): void {
    this.#resolve({ status: this.#status, headers: this.#headers, bytes: this.#body.join(), truncated })
    this.#letGo()
  }

  /** Undici keeps the handler of a request for a while after its end; what came of the request need not stay. */
  #letGo(): void {
    this.#controller = undefined
    this.#options = undefined
    this.#body = new BodyPieces()
    this.#headers = {}
  }
}

function contentLength(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : undefined
}
