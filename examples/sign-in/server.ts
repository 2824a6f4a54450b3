import { once } from 'node:events'
import { serve } from '@hono/node-server'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { Hub } from '@tributary/hub'
import { Authentications } from '@tributary/service/auth'
import { createApp } from './app.ts'

/** Serves the app. `env` says who may come in, by the variables of a gateway. */
export async function startServer(port: number, env: Readonly<Record<string, string | undefined>>) {
  const auth = await Authentications.open({ env })
  const store = new MemoryEventStore()
  const hub = await Hub.open({ store })
  const server = serve({ fetch: createApp(hub, auth).fetch, port, hostname: '127.0.0.1' })
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
