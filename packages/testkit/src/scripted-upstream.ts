import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type { UpstreamStep } from './upstream-step.ts'

/** A request as the upstream got it, its body read to the end. */
export interface UpstreamRequest {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** Resolves when its answer is over: written to the end, or the connection is gone. */
  readonly closed: Promise<void>
}

export type UpstreamHandler = (request: UpstreamRequest, response: ServerResponse) => unknown

/** A real HTTP server on a free port of loopback, whose routes do what the test says. */
export class ScriptedUpstream implements AsyncDisposable {
  /** `http://127.0.0.1:<port>`, without a slash at the end. */
  readonly url: string
  /** All that came, oldest first, also for paths without a route. */
  readonly requests: UpstreamRequest[] = []
  readonly #server: Server
  readonly #routes = new Map<string, UpstreamHandler>()
  readonly #waiters = new Set<() => void>()

  static async start(): Promise<ScriptedUpstream> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new ScriptedUpstream(server)
  }

  private constructor(server: Server) {
    this.#server = server
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('the upstream does not listen')
    this.url = `http://127.0.0.1:${address.port}`
    server.on('request', (incoming, response: ServerResponse) => {
      const url = new URL(incoming.url ?? '/', this.url)
      const { promise: closed, resolve } = Promise.withResolvers<void>()
      response.once('close', resolve)
      const answer = async () => {
        const body = await text(incoming)
        const { method = 'GET', headers } = incoming
        await this.#answer(
          { method, path: url.pathname, query: url.searchParams, headers, body, closed },
          response,
        )
      }
      // A script that fails, or a client that leaves while it sends, ends the connection.
      answer().catch(() => response.destroy())
    })
  }

  /** Answers requests to `path`, of any method. A later route for the same path replaces it. */
  route(path: string, handler: UpstreamHandler): this {
    this.#routes.set(path, handler)
    return this
  }

  /**
   * Answers the first request to `path` with the first script, the second with the second, and so on; the last
   * one stays.
   */
  script(path: string, ...scripts: readonly (readonly UpstreamStep[])[]): this {
    let turn = 0
    return this.route(path, async (_request, response) => {
      const steps = scripts[Math.min(turn++, scripts.length - 1)] ?? []
      for (const step of steps) await step(response)
    })
  }

  /** The requests to `path`. */
  requestsTo(path: string): UpstreamRequest[] {
    return this.requests.filter((request) => request.path === path)
  }

  /** Resolves with the `count`th request to `path`, also one that came before. */
  async waitForRequest(path: string, count = 1): Promise<UpstreamRequest> {
    for (;;) {
      const request = this.requestsTo(path)[count - 1]
      if (request !== undefined) return request
      await new Promise<void>((resolve) => this.#waiters.add(resolve))
    }
  }

  /** Cuts every connection, and goes on listening. */
  disconnectAll(): void {
    this.#server.closeAllConnections()
  }

  /** Stops listening, and cuts every connection. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #answer(request: UpstreamRequest, response: ServerResponse): Promise<void> {
    this.requests.push(request)
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const wake of waiters) wake()
    const handler = this.#routes.get(request.path)
    if (handler === undefined) response.writeHead(404).end()
    else await handler(request, response)
  }
}
