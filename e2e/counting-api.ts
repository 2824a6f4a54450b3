import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'

/** An API to call, which counts its calls and says when it answers those that it holds. */
export interface CountingApi extends AsyncDisposable {
  readonly url: string
  /** How often each path was called. */
  readonly calls: ReadonlyMap<string, number>
  /** Calls that are neither answered nor given up by who made them. */
  readonly heldCount: number
  /** Resolves once so many calls of paths that begin so have come. */
  called(prefix: string, count: number): Promise<void>
  /** Answers what is held under these paths, and whatever comes for them from now on. */
  release(prefix: string): void
}

/**
 * Answers `/now…` at once; `/flaky…` the first time with a 503 that asks to wait for some seconds; all else once it is
 * released.
 */
export async function startCountingApi(): Promise<CountingApi> {
  const calls = new Map<string, number>()
  const held = new Map<ServerResponse, string>()
  const released: string[] = ['/now', '/flaky']
  let arrived = Promise.withResolvers<void>()
  const answer = (response: ServerResponse, path: string) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ path }))
  const server = createServer(({ url: path = '' }, response) => {
    const count = (calls.get(path) ?? 0) + 1
    calls.set(path, count)
    arrived.resolve()
    arrived = Promise.withResolvers()
    if (path.startsWith('/flaky') && count === 1) response.writeHead(503, { 'retry-after': '3' }).end()
    else if (released.some((prefix) => path.startsWith(prefix))) answer(response, path)
    else held.set(response, path)
    response.on('close', () => held.delete(response))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    calls,
    get heldCount() {
      return held.size
    },
    async called(prefix, count) {
      const callsOf = () =>
        [...calls].reduce((sum, [path, times]) => sum + (path.startsWith(prefix) ? times : 0), 0)
      while (callsOf() < count) await arrived.promise
    },
    release(prefix) {
      released.push(prefix)
      for (const [response, path] of held) if (path.startsWith(prefix)) answer(response, path)
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await once(server.close(), 'close')
    },
  }
}
