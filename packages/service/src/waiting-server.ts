import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type HealthAnswer, ProblemError } from '@tributary/protocol'
import { ConfigError } from './config/config-error.ts'
import { isListenError, type ListenAddress, listenErrorMessage } from './listen-error.ts'
import { writeProblem } from './requests/problem-answers.ts'

/** Seconds until who is refused should try again. */
const RETRY_AFTER_S = 5
/** Sockets at a time: it is there for probes. */
const MAX_SOCKETS = 256
/** The longest that a request may take to arrive, in ms. */
const REQUEST_TIMEOUT_MS = 5_000

/**
 * Answers in place of a service that waits for what it cannot start without: `/healthz` that it lives, everything else
 * with a 503. Whoever starts processes would else take one for dead that only waits.
 */
export class WaitingServer {
  readonly #address: ListenAddress
  #server: Server | undefined
  #listening: Promise<void> = Promise.resolve()
  #reason = ''

  constructor(address: ListenAddress) {
    this.#address = address
  }

  /** Says what is waited for, and listens from the first time on. @throws ConfigError where it cannot. */
  wait(reason: string): Promise<void> {
    this.#reason = reason
    if (this.#server === undefined) {
      this.#server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) =>
        this.#answer(request, response),
      )
      this.#server.maxConnections = MAX_SOCKETS
      this.#listening = this.#listen(this.#server)
      this.#listening.catch(() => undefined)
    }
    return this.#listening
  }

  /** Frees the port, for the service itself. */
  async close(): Promise<void> {
    await this.#listening.catch(() => undefined)
    const server = this.#server
    if (!server?.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }

  async #listen(server: Server): Promise<void> {
    const { host, port } = this.#address
    server.listen({ host, port })
    try {
      await once(server, 'listening')
    } catch (error) {
      if (!isListenError(error)) throw error
      throw new ConfigError([listenErrorMessage(error, this.#address)], { cause: error })
    }
  }

  #answer({ method, url = '' }: IncomingMessage, response: ServerResponse): void {
    // So that nobody keeps a connection to what is about to make room.
    response.setHeader('Connection', 'close')
    const [path] = url.split('?')
    if (path === '/healthz' && (method === 'GET' || method === 'HEAD')) {
      const store = { status: 'degraded', reason: this.#reason } as const
      const body: HealthAnswer = { status: 'degraded', components: { store } }
      const headers = { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store' }
      response.writeHead(200, headers).end(JSON.stringify(body))
    } else {
      const detail = `The service has not started yet: ${this.#reason}`
      writeProblem(response, new ProblemError('not_ready', detail, { retryAfterS: RETRY_AFTER_S }))
    }
  }
}
