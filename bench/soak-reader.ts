import { connect, type Socket } from 'node:net'
import { SseDecoder, type WireEvent } from '@tributary/protocol'
import { StreamAnswer } from './stream-answer.ts'

/** How a reader leaves: in the midst of a frame, by a reset, or by closing its side and reading to the end. */
export const LEAVES = ['mid_frame', 'reset', 'orderly'] as const
export type Leave = (typeof LEAVES)[number]

/** How long a reader that leaves waits for a frame to break, or for the other side to close, in ms. */
const LEAVE_LIMIT_MS = 2_000

export interface SoakReaderOptions {
  readonly port: number
  readonly path: string
  /** How long it stays away before it comes back, in ms. Asked each time. */
  readonly awayMs: () => number
  readonly onEvent: (event: WireEvent) => void
  /** Called when a stream stands; the first time it is a new one. */
  readonly onOpen: () => void
  /** Called where the answer was no stream. It comes again after that. */
  readonly onRefused: (why: string) => void
}

/** One reader over all of its connections. It comes back with the id of the last whole event, whatever ended it. */
export class SoakReader {
  readonly #options: SoakReaderOptions
  #socket: Socket | undefined
  #cursor: string | undefined
  #leaving: Leave | undefined
  #isOpen = false
  #isStopped = false

  constructor(options: SoakReaderOptions) {
    this.#options = options
  }

  /** Whether it has a stream and is neither leaving nor pausing. */
  get isReading(): boolean {
    return this.#isOpen && this.#leaving === undefined && this.#socket?.isPaused() === false
  }

  connect(): void {
    const { port, path, onRefused } = this.#options
    const socket = connect({ port, host: '127.0.0.1' })
    this.#socket = socket
    this.#leaving = undefined
    const cursor = this.#cursor === undefined ? '' : `Last-Event-ID: ${this.#cursor}\r\n`
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n${cursor}\r\n`)
    const decoder = new SseDecoder({ onEvent: (event) => this.#onEvent(event) })
    const answer = new StreamAnswer({
      onStatus: (status) => {
        if (status === 200) return
        onRefused(`status ${status}`)
        socket.destroy()
      },
      onBody: (bytes) => decoder.feed(bytes),
      onEnd: () => socket.destroy(),
    })
    socket.on('data', (bytes) => {
      try {
        answer.feed(this.#leaving === 'mid_frame' ? bytes.subarray(0, bytes.length / 2) : bytes)
      } catch (error) {
        onRefused(String(error))
        socket.destroy()
      }
      if (this.#leaving === 'mid_frame') socket.destroy()
    })
    socket.on('error', (error) => {
      if (!this.#isOpen) onRefused(error.message)
    })
    socket.once('close', () => this.#onClose())
  }

  leave(how: Leave): void {
    const socket = this.#socket
    if (socket === undefined) return
    this.#leaving = how
    if (how === 'reset') socket.resetAndDestroy()
    else {
      if (how === 'orderly') socket.end()
      const timer = setTimeout(() => socket.destroy(), LEAVE_LIMIT_MS)
      socket.once('close', () => clearTimeout(timer))
    }
  }

  /** Reads nothing for a while. */
  pause(ms: number): void {
    const socket = this.#socket
    socket?.pause()
    setTimeout(() => socket?.resume(), ms)
  }

  /** Goes, and does not come back. */
  stop(): void {
    this.#isStopped = true
    this.#socket?.destroy()
  }

  #onEvent(event: WireEvent): void {
    if (event.id !== undefined) this.#cursor = event.id
    if (event.type === 'connection') {
      this.#isOpen = true
      this.#options.onOpen()
    }
    this.#options.onEvent(event)
  }

  #onClose(): void {
    this.#isOpen = false
    this.#socket = undefined
    if (!this.#isStopped) setTimeout(() => this.#isStopped || this.connect(), this.#options.awayMs())
  }
}
