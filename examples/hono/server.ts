import { once } from 'node:events'
import { serve } from '@hono/node-server'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { Hub } from '@tributary/hub'
import { createApp } from './app.ts'

/** Serves the app. `close` ends the open streams first, which would keep the server from closing. */
export async function startServer(port: number) {
  const store = new MemoryEventStore()
  const hub = await Hub.open({ store })
  const server = serve({ fetch: createApp(hub).fetch, port, hostname: '127.0.0.1' })
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    async close(): Promise<void> {
      const closed = once(server, 'close')
      server.close()
      await hub[Symbol.asyncDispose]()
      await closed
      await store.close()
    },
  }
}
