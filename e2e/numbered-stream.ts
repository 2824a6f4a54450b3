import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { ScriptedUpstream } from '@tributary/testkit'

export interface NumberedStreamOptions {
  /** Events from 1 to this, then the end. */
  readonly total: number
  /** Whether each carries its number as its id, and a `Last-Event-ID` is gone on from. Default true. */
  readonly ids?: boolean
}

/** A foreign server's stream of `tick`s with numbers, which come as the test lets them. */
export class NumberedStream {
  readonly #options: NumberedStreamOptions
  readonly #responses = new Set<ServerResponse>()
  readonly #sent = new WeakMap<ServerResponse, number>()
  #released = 0

  constructor(upstream: ScriptedUpstream, path: string, options: NumberedStreamOptions) {
    this.#options = options
    upstream.route(path, async (request, response) => {
      const after = options.ids === false ? 0 : Number(request.headers['last-event-id'] ?? 0)
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('retry: 100\n\n')
      this.#sent.set(response, after)
      this.#responses.add(response)
      this.#send(response)
      await once(response, 'close')
      this.#responses.delete(response)
    })
  }

  /** Lets the events up to this number go, to whoever reads now and later. */
  release(upTo = this.#options.total): void {
    this.#released = upTo
    for (const response of this.#responses) this.#send(response)
  }

  #send(response: ServerResponse): void {
    const { total, ids = true } = this.#options
    let n = this.#sent.get(response) ?? 0
    while (n < this.#released) {
      n += 1
      response.write(`${ids ? `id: ${n}\n` : ''}event: tick\ndata: {"n":${n}}\n\n`)
    }
    this.#sent.set(response, n)
    if (n === total) response.end()
  }
}
