import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { HandlerRegistry, type HandlerRequester, HandlerRunner } from '@tributary/runs'

const HANDLERS = fileURLToPath(new URL('../handlers', import.meta.url))
const silent = { info: () => {}, warn: () => {}, error: () => {} }

const request: HandlerRequester = async ({ url }, { signal }) => {
  const answer = await fetch(url, { signal })
  return { status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.bytes() }
}

/** The gateway's own handlers, ready to be run, with what they report kept. */
export async function openHandlers() {
  const registry = await HandlerRegistry.load([HANDLERS])
  const runner = new HandlerRunner({ registry, request, threads: { maxThreads: 1 } })
  return {
    names: runner.names(),
    async run(name: string, input?: unknown) {
      const steps: { step?: number; progress: number }[] = []
      const result = await runner.run(name, {
        input,
        taskId: 't1',
        attempt: 1,
        signal: AbortSignal.timeout(14_000),
        log: silent,
        onProgress: (progress) => steps.push(progress),
      })
      return { result, steps }
    },
    [Symbol.asyncDispose]: () => runner.close(),
  }
}

/** An HTTP server that answers each path with its content, any other with 404. */
export async function serve(contents: Record<string, { type: string; body: string | Uint8Array }>) {
  const server = createServer((incoming, response) => {
    const content = contents[incoming.url ?? '']
    if (content === undefined) return response.writeHead(404).end()
    return response.writeHead(200, { 'content-type': content.type }).end(content.body)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  // A TCP server's address is never a pipe's name.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await once(server.close(), 'close')
    },
  }
}
