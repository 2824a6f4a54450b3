import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AddressPolicy, OutboundClient } from '@tributary/outbound'
import { expect, onTestFinished, test } from 'vitest'
import { Worker } from '../src/relay/worker.ts'

test('a worker that takes a request and never answers is told as that, with its address and the time', async () => {
  const server = createServer(() => undefined).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const client = new OutboundClient({ policy: new AddressPolicy({ allow: [`127.0.0.1:${port}`] }) })
  const worker = new Worker({ url, client, now: () => 0 })
  await expect(worker.request('/healthz', { timeoutMs: 50 })).rejects.toMatchObject({
    code: 'upstream_failed',
    message: `The worker ${url} did not answer within 0.05 s`,
  })
})
