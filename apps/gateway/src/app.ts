import { StoreUnavailableError } from '@tributary/eventlog'
import { hubPlugin } from '@tributary/hub/fastify'
import { type App, addStaticPage, createApp, SSE_CLIENT_PAGE } from '@tributary/service'
import type { Deps } from './deps.ts'
import { addConnections } from './http/connections.ts'
import { addManagedStreams } from './http/managed-streams.ts'
import { addPublishing } from './http/publishing.ts'
import { addRelays } from './http/relays.ts'
import { addRuns } from './http/runs.ts'

/** Builds the gateway's app. It never listens. */
export async function createGatewayApp(deps: Deps): Promise<App> {
  const { logger, authenticator, drain, hub, runs, streams, store, config } = deps
  const app = await createApp({
    name: 'Tributary gateway',
    version: '0.1.0',
    description: "Keeps users' and groups' streams; relays, merges and runs.",
    logger,
    authenticator,
    drain,
    components: () => ({ store: store.health }),
    ready: async () => {
      if (store.health.status === 'degraded') throw new StoreUnavailableError(store.health.reason)
      return true
    },
  })
  await app.register(hubPlugin, { hub })
  addManagedStreams(app, deps)
  addPublishing(app, deps)
  addConnections(app, deps)
  addRelays(app, deps)
  addRuns(app, deps)
  await addStaticPage(app, SSE_CLIENT_PAGE)
  drain.onDrain('hub', () => void hub.closeAll('drain'))
  drain.onDrain('runs', () => runs.drain(config.DRAIN_MS))
  drain.onDrain('streams', () => streams.endAll('drain'))
  return app
}
