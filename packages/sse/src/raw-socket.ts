/**
 * The fast path: a stream's frames go to the kernel past `response.write`, and what Node keeps of the request is let go.
 *
 * Node's way from a response to the kernel makes half a dozen objects for each write, and a response keeps its request,
 * the parser and their closures for as long as it is open. An event for ten thousand readers needs neither. What
 * follows uses parts of Node that are not documented: each is looked for first, and where one is missing the ordinary
 * `response.write` serves. Everything else of a stream stays ordinary code.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'

/** The native side of a socket (`lib/net.js`, `src/stream_base.cc`). */
interface SocketHandle {
  /** Tries at once; what the kernel does not take is queued under the request. Answers 0, or why it failed. */
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number
  /** Bytes that are queued. */
  readonly writeQueueSize: number
}

/** What a queued write is known by. */
interface WriteRequest {
  oncomplete?: () => void
  buffer?: Uint8Array
}

interface StreamInternals {
  readonly WriteWrap: new () => WriteRequest
  /** Whether the last write was queued stands in this at `kLastWriteWasAsync`. */
  readonly streamBaseState: Readonly<Record<number, number>>
  readonly kLastWriteWasAsync: number
}

interface RequestParser {
  unconsume(): void
  remove(): void
  close(): void
}

/** Whose write was queued. */
export interface QueuedWriter {
  /** The kernel has what was queued, or the socket is closed. */
  onWritten(): void
}

/** What came of a write: the kernel has it, or a part of it is queued, or the socket is broken. */
export type WriteOutcome = 'taken' | 'queued' | 'failed'

/** Writes to sockets. A request is needed only for what is queued, so one spare serves all other writes. */
export class SocketWriter {
  readonly #internals = streamInternals()
  #spare: WriteRequest | undefined = this.#newRequest()

  /** Whether this Node has what it takes. */
  get available(): boolean {
    return this.#internals !== undefined
  }

  write(handle: SocketHandle, bytes: Uint8Array, owner: QueuedWriter): WriteOutcome {
    const internals = this.#internals
    const request = this.#spare
    if (internals === undefined || request === undefined) return 'failed'
    if (handle.writeBuffer(request, bytes) !== 0) return 'failed'
    if (internals.streamBaseState[internals.kLastWriteWasAsync] === 0) return 'taken'
    // The bytes must live until then, and nothing else keeps them.
    request.buffer = bytes
    request.oncomplete = () => owner.onWritten()
    this.#spare = this.#newRequest()
    return 'queued'
  }

  #newRequest(): WriteRequest | undefined {
    return this.#internals === undefined ? undefined : new this.#internals.WriteWrap()
  }
}

/** What `lib/_http_server.js` hears of a socket's close with. Where it has another name it stays, and costs memory. */
const SERVERS_LISTENER = 'bound socketOnClose'

const LAST_CHUNK = Buffer.from('0\r\n\r\n')

/** The socket of a stream that was taken over from its response. What is written are chunks of its answer. */
export class RawSocket {
  readonly #socket: Socket
  readonly #handle: SocketHandle
  readonly #writer: SocketWriter

  private constructor(socket: Socket, handle: SocketHandle, writer: SocketWriter) {
    this.#socket = socket
    this.#handle = handle
    this.#writer = writer
  }

  /**
   * Takes the socket of a response over for good, in one step: the response, its request and the parser can be
   * collected then. To be called at the end of a turn, for a parser must not be closed within its own callback.
   *
   * The head of the answer has said `Connection: close`, so no further request is to come; none would be answered.
   *
   * @param onGone called once when the socket is closed.
   * @returns `undefined`, and nothing has changed, where only the ordinary way is right.
   */
  static takeOver(response: ServerResponse, writer: SocketWriter, onGone: () => void): RawSocket | undefined {
    const { socket } = response
    if (!writer.available || !isFree(response, socket)) return undefined
    const handle: unknown = Reflect.get(socket, '_handle')
    const parser: unknown = Reflect.get(socket, 'parser')
    if (!isSocketHandle(handle) || !isRequestParser(parser) || !isLastRequest(parser, response.req))
      return undefined
    response.detachSocket(socket)
    // From here on the socket reads by itself, and the server neither times it nor closes it.
    parser.unconsume()
    parser.remove()
    Reflect.set(socket, 'parser', null)
    dropListeners(socket)
    socket.setTimeout(0)
    socket.on('error', destroy).on('end', destroy).once('close', onGone)
    parser.close()
    // What comes is nobody's; but it must be read, or the end would never be seen.
    socket.resume()
    // To whoever counts what is under way, this request is over.
    response.destroy()
    process.nextTick(tellClosed, response)
    return new RawSocket(socket, handle, writer)
  }

  /** Bytes that are queued. */
  get queuedBytes(): number {
    return this.#handle.writeQueueSize
  }

  get destroyed(): boolean {
    return this.#socket.destroyed
  }

  /** Writes chunks of the answer, after what is queued. */
  write(chunks: Uint8Array, owner: QueuedWriter): WriteOutcome {
    return this.#writer.write(this.#handle, chunks, owner)
  }

  /** Ends the answer, and closes the socket once the kernel has all of it, as Node does. */
  end(owner: QueuedWriter): WriteOutcome {
    const outcome = this.write(LAST_CHUNK, owner)
    this.#socket.destroySoon()
    return outcome
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

/** The head of a response, which Node has made and not sent; `undefined` where this Node keeps it elsewhere. */
export function unsentHead(response: ServerResponse): string | undefined {
  const head: unknown = Reflect.get(response, '_header')
  return typeof head === 'string' && head.endsWith('\r\n\r\n') ? head : undefined
}

/** Whether a response has its socket for itself, speaks chunks, and nothing of it waits in Node's own buffers. */
function isFree(response: ServerResponse, socket: unknown): socket is Socket {
  // TLS keeps Node's way.
  if (!(socket instanceof Socket) || 'encrypted' in socket || !socket.writable) return false
  // HTTP/1.0 knows no chunks.
  if (!response.headersSent || !response.chunkedEncoding || response.writableEnded) return false
  // Behind an answer that is not through yet, its bytes would come before the end of that one.
  if (Reflect.get(socket, '_httpMessage') !== response || !('detachSocket' in response)) return false
  return response.writableLength === 0 && socket.writableLength === 0 && socket.writableCorked === 0
}

function destroy(this: Socket): void {
  this.destroy()
}

/** What the server listens with holds on to the request. Whoever else waits for the socket to close still hears of it. */
function dropListeners(socket: Socket): void {
  const others = socket.rawListeners('close').filter(isOthersListener)
  socket.removeAllListeners()
  for (const listener of others) socket.on('close', listener)
}

function isOthersListener(listener: unknown): listener is () => void {
  return typeof listener === 'function' && listener.name !== SERVERS_LISTENER
}

/** Where Node has not said so itself: what is destroyed without a socket is closed. */
function tellClosed(response: ServerResponse): void {
  if (!response.closed) response.emit('close')
}

/** Whether the parser has seen nothing after this request. */
function isLastRequest(parser: RequestParser, request: IncomingMessage): boolean {
  return request.complete && Reflect.get(parser, 'incoming') === request
}

function isSocketHandle(handle: unknown): handle is SocketHandle {
  return hasFunctions(handle, ['writeBuffer']) && typeof Reflect.get(handle, 'writeQueueSize') === 'number'
}

function isRequestParser(parser: unknown): parser is RequestParser {
  return hasFunctions(parser, ['unconsume', 'remove', 'close'])
}

function hasFunctions(value: unknown, names: readonly string[]): value is object {
  return (
    typeof value === 'object' &&
    value !== null &&
    names.every((name) => typeof Reflect.get(value, name) === 'function')
  )
}

/** The parts of Node that a queued write needs, as `lib/internal/stream_base_commons.js` uses them. */
function streamInternals(): StreamInternals | undefined {
  try {
    const binding: unknown = Reflect.get(process, 'binding')
    const internals: unknown =
      typeof binding === 'function' ? binding.call(process, 'stream_wrap') : undefined
    return isStreamInternals(internals) ? internals : undefined
  } catch {
    // A Node that has taken it away, or is run with permissions, throws.
    return undefined
  }
}

function isStreamInternals(internals: unknown): internals is StreamInternals {
  if (!hasFunctions(internals, ['WriteWrap'])) return false
  const state: unknown = Reflect.get(internals, 'streamBaseState')
  const place: unknown = Reflect.get(internals, 'kLastWriteWasAsync')
  return (
    ArrayBuffer.isView(state) && typeof place === 'number' && typeof Reflect.get(state, place) === 'number'
  )
}
