import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * A TCP port of loopback that nothing listens on. Another process may take it at any time: listen on port 0
 * wherever the port need not be known before.
 */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
  return address.port
}
