import type { Server, ServerResponse } from 'node:http'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { type ErrorCode, ProblemError } from '@tributary/protocol'
import { problemHeaders, writeProblem } from './problem-answers.ts'

/** What Node says of bytes that are no HTTP request; see `clientError` of `node:http`. */
interface ClientError extends Error {
  readonly code?: string
  readonly rawPacket?: unknown
}

/** Answers what never becomes a request: broken HTTP, headers that are too large, requests that come too slowly. */
export class SocketErrors {
  readonly #maxHeaderBytes: number
  readonly #onProblem: ((code: ErrorCode) => void) | undefined
  /** The latest response of each connection. Not kept for it: the socket of a stream outlives its response. */
  readonly #responses = new WeakMap<Socket, WeakRef<ServerResponse>>()

  /**
   * @param maxHeaderBytes Node's `maxHeaderSize`, which counts the address too.
   * @param onProblem told of each that is answered.
   */
  constructor(maxHeaderBytes: number, onProblem?: (code: ErrorCode) => void) {
    this.#maxHeaderBytes = maxHeaderBytes
    this.#onProblem = onProblem
  }

  watch(server: Server): void {
    server.prependListener('request', ({ socket }, response) => {
      this.#responses.set(socket, new WeakRef(response))
    })
    // Without a listener Node answers 417 by itself, and without a word.
    server.on('checkExpectation', ({ headers }, response) => {
      const detail = `The only Expect that is met is 100-continue; leave out ${JSON.stringify(headers.expect)}.`
      writeProblem(response, new ProblemError('expectation_failed', detail))
    })
  }

  answer(error: ClientError, socket: Socket): void {
    const response = this.#responses.get(socket)?.deref()
    const isAnswering = response?.headersSent === true && !response.writableFinished
    // A second answer in the midst of one, as of a stream, would be taken for a part of it.
    if (error.code === 'ECONNRESET' || !socket.writable || isAnswering) {
      socket.destroy()
      return
    }
    const [code, detail] = wordsFor(error, this.#maxHeaderBytes)
    const problem = new ProblemError(code, detail, { cause: error })
    this.#onProblem?.(code)
    const body = JSON.stringify(problem.toProblem())
    const headers = Object.entries(problemHeaders(problem))
    socket.end(
      `HTTP/1.1 ${problem.statusCode} ${STATUS_CODES[problem.statusCode]}\r\n` +
        headers.map(([name, value]) => `${name}: ${value}\r\n`).join('') +
        `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      () => socket.destroy(),
    )
  }
}

function wordsFor({ code, rawPacket }: ClientError, maxHeaderBytes: number): [ErrorCode, string] {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['request_timeout', 'The request took too long to arrive; send it faster.']
    case 'HPE_HEADER_OVERFLOW':
      return isAddressLong(rawPacket, maxHeaderBytes)
        ? ['uri_too_long', 'The address is too long; shorten it, or send what it holds in a body.']
        : ['headers_too_large', 'The headers are too large; send fewer or shorter ones.']
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return ['payload_too_large', 'The chunk extensions of the body are too large; send none.']
    case 'HPE_INVALID_EOF_STATE':
      return ['invalid_request', 'The request was cut off before its end; send it again whole.']
    default:
      return ['invalid_request', 'This is not a valid HTTP/1.1 request.']
  }
}

/**
 * Whether it is the address that fills the headers' room. Told from the bytes at which the limit was passed, so
 * that an address that comes in several packets may count as a header.
 */
function isAddressLong(packet: unknown, maxHeaderBytes: number): boolean {
  if (!Buffer.isBuffer(packet) || !/^[A-Z]+ /.test(packet.toString('latin1', 0, 16))) return false
  const end = packet.indexOf('\r\n')
  return end === -1 || end > maxHeaderBytes / 2
}
