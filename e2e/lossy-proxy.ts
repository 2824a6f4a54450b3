import { createServer } from 'node:http'

/** Stands in front of a service, and takes requests of which it never brings back the answer. */
export interface LossyProxy extends AsyncDisposable {
  readonly url: string
  /** Requests whose answer was lost. */
  readonly lost: number
}

/** @param losing how many of the first POSTs lose their answer, once the service has given it. */
export async function startLossyProxy(serviceUrl: string, losing: number): Promise<LossyProxy> {
  let lost = 0
  const server = createServer(async (incoming, outgoing) => {
    const { method = 'GET', url = '/', headers } = incoming
    const chunks: Uint8Array[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const passed = {
      accept: headers.accept ?? '*/*',
      'idempotency-key': String(headers['idempotency-key'] ?? 'none'),
    }
    const sent =
      method === 'POST'
        ? { method, headers: { ...passed, 'content-type': 'application/json' }, body: Buffer.concat(chunks) }
        : { headers: passed }
    const left = new AbortController()
    outgoing.on('close', () => left.abort())
    const answer = await fetch(serviceUrl + url, { ...sent, signal: left.signal })
    if (method === 'POST' && lost < losing) {
      lost += 1
      await answer.arrayBuffer()
      outgoing.destroy()
      return
    }
    outgoing.writeHead(answer.status, Object.fromEntries(answer.headers))
    try {
      for await (const chunk of answer.body ?? []) outgoing.write(chunk)
      outgoing.end()
    } catch {
      outgoing.destroy()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    get lost() {
      return lost
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
