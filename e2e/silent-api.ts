import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'

/** An API that says nothing of what it is sent. */
export interface SilentApi extends AsyncDisposable {
  readonly url: string
  /** Resolves once so many calls below `/held` have come. */
  called(count: number): Promise<void>
  /** Breaks off what is held, and holds nothing from now on. */
  free(): void
}

/**
 * Answers `{}` with a cookie, below `/fail` with a 500; holds what is below `/held`.
 *
 * @param cookie what each answer's `Set-Cookie` says.
 */
export async function startSilentApi(cookie: () => string): Promise<SilentApi> {
  const held = new Set<ServerResponse>()
  let calls = 0
  let isFree = false
  const server = createServer((request, answer) => {
    answer.setHeader('set-cookie', cookie())
    if (request.url?.startsWith('/held') === true && !isFree) {
      calls += 1
      held.add(answer)
      server.emit('held')
    } else answer.writeHead(request.url?.startsWith('/fail') === true ? 500 : 200).end('{}')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    async called(count) {
      while (calls < count) await once(server, 'held')
    },
    free() {
      isFree = true
      for (const answer of held) answer.destroy()
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await once(server.close(), 'close')
    },
  }
}
