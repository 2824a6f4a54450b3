import type { Server, ServerResponse } from 'node:http'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { type ErrorCode, PROBLEM_CONTENT_TYPE, ProblemError } from '@tributary/protocol'

/** What Node says of bytes that are no HTTP request; see `clientError` of `node:http`. */
interface ClientError extends Error {
  readonly code?: string
  readonly rawPacket?: unknown
}

/** Answers what never becomes a request: broken HTTP, headers that are too large, requests that come too slowly. */
export class SocketErrors {
  /** The latest response of each connection. */
  readonly #responses = new WeakMap<Socket, ServerResponse>()

  watch(server: Server): void {
    server.prependListener('request', (request, response) => this.#responses.set(request.socket, response))
  }

  answer(error: ClientError, socket: Socket): void {
    const response = this.#responses.get(socket)
    const isAnswering = response !== undefined && response.headersSent && !response.writableFinished
    // A second answer in the midst of one, as of a stream, would be taken for a part of it.
    if (error.code === 'ECONNRESET' || !socket.writable || isAnswering) {
      socket.destroy()
      return
    }
    const problem = problemOf(error)
    const body = JSON.stringify(problem.toProblem())
    socket.end(
      `HTTP/1.1 ${problem.statusCode} ${STATUS_CODES[problem.statusCode]}\r\n` +
        `Content-Type: ${PROBLEM_CONTENT_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
        `Cache-Control: no-store\r\nConnection: close\r\n\r\n${body}`,
      () => socket.destroy(),
    )
  }
}

function problemOf(error: ClientError): ProblemError {
  const [code, detail] = wordsFor(error)
  return new ProblemError(code, detail, { cause: error })
}

function wordsFor({ code, rawPacket }: ClientError): [ErrorCode, string] {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['request_timeout', 'The request took too long to arrive; send it faster.']
    case 'HPE_HEADER_OVERFLOW':
      return isAddressLong(rawPacket)
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

/** Whether the bytes at which the limit was passed begin with an address that never ends. */
function isAddressLong(packet: unknown): boolean {
  return Buffer.isBuffer(packet) && /^[A-Z]+ /.test(packet.toString('latin1', 0, 16)) && !packet.includes('\r\n')
}
