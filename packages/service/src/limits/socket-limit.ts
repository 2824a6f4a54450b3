import type { Server } from 'node:http'
import type { Socket } from 'node:net'

export interface SocketLimitOptions {
  /** Open sockets at a time, those of streams too. 0 is no limit. */
  readonly max: number
  /** Told of each that is closed for another. */
  readonly onDrop?: () => void
}

/**
 * Bounds the open sockets of a server. Beyond it the one that has kept it waiting for longest is closed: one that says
 * nothing, is slow over its headers, or is idle between requests; never one with a request or stream under way, so that
 * many who only hold a socket keep nobody out.
 */
export class SocketLimit {
  readonly #max: number
  readonly #onDrop: (() => void) | undefined
  // In the order in which they began to wait.
  readonly #waiting = new Set<Socket>()
  // How many requests are under way beside the first, where a client sends the next before it has its answer.
  readonly #pipelined = new WeakMap<Socket, number>()
  readonly #onClose: (this: Socket) => void

  constructor({ max, onDrop }: SocketLimitOptions) {
    this.#max = max
    this.#onDrop = onDrop
    const waiting = this.#waiting
    this.#onClose = function () {
      waiting.delete(this)
    }
  }

  watch(server: Server): void {
    if (this.#max === 0) return
    server.on('connection', (socket) => {
      this.#wait(socket)
      server.getConnections((error, open) => {
        if (error === null && open > this.#max) this.#drop()
      })
    })
    server.on('request', ({ socket }, response) => {
      this.#begin(socket)
      // A stream may let go of its response while it is open: that one has not finished.
      response.once('finish', () => {
        if (response.shouldKeepAlive && !socket.destroyed) this.#finish(socket)
      })
    })
  }

  #begin(socket: Socket): void {
    if (this.#waiting.has(socket)) this.#forget(socket)
    else this.#pipelined.set(socket, (this.#pipelined.get(socket) ?? 0) + 1)
  }

  #finish(socket: Socket): void {
    const others = this.#pipelined.get(socket) ?? 0
    if (others === 0) this.#wait(socket)
    else this.#pipelined.set(socket, others - 1)
  }

  #wait(socket: Socket): void {
    this.#waiting.add(socket)
    socket.on('close', this.#onClose)
  }

  /** Also takes the listener away, so that a stream keeps nothing for it. */
  #forget(socket: Socket): void {
    this.#waiting.delete(socket)
    socket.off('close', this.#onClose)
  }

  #drop(): void {
    const [oldest] = this.#waiting
    if (oldest === undefined) return
    this.#forget(oldest)
    oldest.destroy()
    this.#onDrop?.()
  }
}
