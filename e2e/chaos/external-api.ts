import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { CallRecord } from './ledger.ts'

const TASK_PATH = /^\/task\/([^/]+)\/([^/]+)$/
const STREAM_PATH = /^\/stream\/([^/]+)\/([^/]+)$/

/** The type of the events of its streams, and where each bears its number. */
export const TICK = { type: 'tick', seqKey: 'seq' } as const

/**
 * The API of somebody else that tasks call and relays read. It counts every call.
 *
 * `/task/<run>/<task>?ms=&fail=`: answers after `ms`, the first `fail` times with 503.
 * `/stream/<run>/<source>?count=&ms=&ids=1`: so many events, each `ms` after the other; with `ids`, it goes on after
 * the `Last-Event-ID`. Whatever is not a GET, unless it says `repeatable=1`, must not be called twice.
 */
export class ExternalApi implements AsyncDisposable {
  readonly url: string
  readonly #server: Server
  readonly #streams = new Set<ServerResponse>()
  #calls: CallRecord[] = []

  static async start(): Promise<ExternalApi> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new ExternalApi(server)
  }

  private constructor(server: Server) {
    this.#server = server
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('an HTTP server has no port')
    this.url = `http://127.0.0.1:${address.port}`
    server.on('request', (request, response: ServerResponse) => {
      // Whoever leaves in the middle of an answer leaves.
      response.on('error', () => undefined)
      this.#answer(request, response).catch(() => response.destroy())
    })
  }

  /** The calls since the last time; they are forgotten here. */
  takeCalls(): CallRecord[] {
    const calls = this.#calls
    this.#calls = []
    return calls
  }

  /** Resets all streams that are open, and answers how many. */
  cutStreams(): number {
    const count = this.#streams.size
    for (const response of this.#streams) response.destroy()
    return count
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams: query } = new URL(request.url ?? '/', this.url)
    const isTask = TASK_PATH.exec(pathname)
    const [, runKey, taskId] = isTask ?? STREAM_PATH.exec(pathname) ?? []
    request.resume()
    if (runKey === undefined || taskId === undefined) {
      response.writeHead(404).end()
      return
    }
    const repeatable = request.method === 'GET' || query.has('repeatable')
    this.#calls.push({ runKey, taskId, atMs: performance.now(), repeatable })
    const nth = this.#calls.filter((call) => call.runKey === runKey && call.taskId === taskId).length
    if (isTask) await answerTask(response, query, { runKey, taskId, nth })
    else await this.#stream(response, query, String(request.headers['last-event-id'] ?? ''))
  }

  async #stream(response: ServerResponse, query: URLSearchParams, cursor: string): Promise<void> {
    const [count, ms, ids] = [Number(query.get('count')), Number(query.get('ms')), query.has('ids')]
    this.#streams.add(response)
    response.once('close', () => this.#streams.delete(response))
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    for (let seq = ids ? Number(cursor) + 1 : 1; seq <= count; seq++) {
      await delay(ms)
      if (response.destroyed) return
      const id = ids ? `id: ${seq}\n` : ''
      response.write(
        `${id}event: ${TICK.type}\ndata: ${JSON.stringify({ [TICK.seqKey]: seq, of: count })}\n\n`,
      )
    }
    response.end()
  }
}

async function answerTask(
  response: ServerResponse,
  query: URLSearchParams,
  call: { readonly runKey: string; readonly taskId: string; readonly nth: number },
): Promise<void> {
  await delay(Number(query.get('ms')))
  if (response.destroyed) return
  const isRefused = call.nth <= Number(query.get('fail'))
  const headers = { 'content-type': 'application/json', ...(isRefused ? { 'retry-after': '0' } : {}) }
  response.writeHead(isRefused ? 503 : 200, headers).end(JSON.stringify(call))
}
