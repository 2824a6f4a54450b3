import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { until } from './until.ts'

/** How often its streams say something. */
const TICK_MS = 20

/** An API that counts its calls: `/held/…` answers the second one, `/ticking/…` is a stream without an end. */
export class CountingApi implements AsyncDisposable {
  readonly url: string
  readonly #server: Server
  readonly #calls = new Map<string, number>()
  #paths = 0

  private constructor(server: Server, url: string) {
    this.#server = server
    this.url = url
    server.on('request', ({ url: path = '' }, response: ServerResponse) => {
      const nth = (this.#calls.get(path) ?? 0) + 1
      this.#calls.set(path, nth)
      response.on('error', () => undefined)
      if (path.startsWith('/ticking')) tick(response, nth > 1)
      else if (nth > 1) response.end('{}')
    })
  }

  static async start(): Promise<CountingApi> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('an HTTP server has no port')
    return new CountingApi(server, `http://127.0.0.1:${address.port}`)
  }

  held(): string {
    this.#paths += 1
    return `/held/${this.#paths}`
  }

  ticking(): string {
    this.#paths += 1
    return `/ticking/${this.#paths}`
  }

  async calls(path: string, count: number): Promise<void> {
    await until(() => (this.#calls.get(path) ?? 0) >= count)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }
}

/** A stream that can be resumed; the second reader is given its end. */
function tick(response: ServerResponse, ends: boolean): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  let id = ends ? 1_000_000 : 0
  const write = () => {
    id += 1
    response.write(`id: ${id}\nevent: tick\ndata: ${id}\n\n`)
  }
  write()
  if (ends) {
    response.end()
    return
  }
  const timer = setInterval(write, TICK_MS)
  response.on('close', () => clearInterval(timer))
}
