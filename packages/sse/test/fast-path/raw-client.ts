import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type HttpAnswer, readAnswers } from './http-answer.ts'

/** Where a client connects to. */
export type Target = ({ port: number; host: string; path?: never } | { path: string }) & {
  readonly tls?: boolean
}

/** A client that sends what it is told, and keeps all that comes. */
export class RawClient implements AsyncDisposable {
  readonly socket: Socket
  readonly #parts: Buffer[] = []
  readonly #closed: Promise<unknown>
  #length = 0
  #onBytes: () => void = () => undefined

  private constructor(socket: Socket) {
    this.socket = socket
    // A reset is an end as any other to it.
    socket.on('error', () => socket.destroy())
    this.#closed = new Promise((resolve) => socket.once('close', resolve))
    socket.on('data', (part) => {
      this.#parts.push(part)
      this.#length += part.length
      this.#onBytes()
    })
  }

  static async open(target: Target): Promise<RawClient> {
    const { tls = false, ...options } = target
    const socket = tls ? connectTls({ ...options, rejectUnauthorized: false }) : connect(options)
    const client = new RawClient(socket)
    await once(socket, tls ? 'secureConnect' : 'connect')
    return client
  }

  send(...texts: string[]): void {
    this.socket.write(texts.join(''))
  }

  get byteLength(): number {
    return this.#length
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }

  get text(): string {
    return this.bytes.toString('latin1')
  }

  /** Waits until something is in what came, or the connection is closed. */
  async until(isThere: (client: RawClient) => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onBytes = () => {
      if (isThere(this)) resolve()
    }
    this.#onBytes()
    await Promise.race([promise, this.#closed])
  }

  /** Waits until the server has closed the connection, or the client has. */
  async closed(): Promise<void> {
    await this.#closed
  }

  /** All answers, once the connection is closed. */
  async answers(methods?: readonly string[]): Promise<HttpAnswer[]> {
    await this.#closed
    return readAnswers(this.bytes, methods)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy()
    await this.#closed
  }
}

export interface RequestInit {
  readonly method?: string
  readonly version?: string
  readonly headers?: readonly string[]
  readonly body?: string
}

/** A request as text. */
export function request(
  path: string,
  { method = 'GET', version = '1.1', headers = [], body = '' }: RequestInit = {},
): string {
  const length = body === '' ? [] : [`content-length: ${Buffer.byteLength(body)}`, 'content-type: text/plain']
  const lines = [`${method} ${path} HTTP/${version}`, 'host: x', ...headers, ...length]
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

/** The request of a stream that does what the script says. */
export const streamOf = (script: string, size = 10) => `/stream?script=${script}&size=${size}`

/** The same of a reader who is not waited for. */
export const liveStreamOf = (script: string, size = 10) => `/live?script=${script}&size=${size}`
