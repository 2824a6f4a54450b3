import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { SseDecoder, type WireEvent } from '@tributary/protocol'

/** A request for a stream on a socket of its own, which does what it is told and nothing else. */
export class RawStream implements Disposable {
  readonly socket: Socket
  readonly events: WireEvent[] = []
  /** The head of the answer, once it is there; what came where the socket closed before. */
  readonly head: Promise<string>
  #text = ''

  /** @param from the address that it comes from. Default: whichever the machine takes. */
  constructor(url: string, headers: Readonly<Record<string, string>> = {}, from?: string) {
    const { hostname, host, port, pathname, search } = new URL(url)
    this.socket = connect({
      host: hostname,
      port: Number(port),
      ...(from === undefined ? {} : { localAddress: from }),
    })
    this.socket.on('error', () => this.socket.destroy())
    const lines = Object.entries({ host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
    this.socket.write(`GET ${pathname}${search} HTTP/1.1\r\n${lines.join('')}\r\n`)
    this.head = this.#read()
  }

  /** The status of the answer; 0 where there is none. */
  async status(): Promise<number> {
    return Number(/^HTTP\/1\.1 (\d+)/.exec(await this.head)?.[1] ?? 0)
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }

  #read(): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>()
    // The lines between chunks are no fields of an event, and are ignored as the standard has it.
    const decoder = new SseDecoder({ onEvent: (event) => this.events.push(event) })
    this.socket.setEncoding('latin1').on('data', (text: string) => {
      const end = this.#text.indexOf('\r\n\r\n')
      if (end !== -1) decoder.feed(Buffer.from(text, 'latin1'))
      else {
        this.#text += text
        const headEnd = this.#text.indexOf('\r\n\r\n')
        if (headEnd === -1) return
        decoder.feed(Buffer.from(this.#text.slice(headEnd + 4), 'latin1'))
        resolve(this.#text.slice(0, headEnd))
      }
    })
    void once(this.socket, 'close').then(() => resolve(this.#text))
    return promise
  }
}
