import { StoreUnavailableError } from '@tributary/eventlog'
import { hubPlugin } from '@tributary/hub/fastify'
import {
  type App,
  addNodes,
  addRevocations,
  addSessionRoutes,
  addStaticPage,
  addStreamTokens,
  createApp,
  SSE_CLIENT_PAGE,
  serverLimitsOf,
} from '@tributary/service'
import { cursorQueryOf, refuseStream } from '@tributary/sse/fastify'
import type { Deps } from './deps.ts'
import { addConnectionToken } from './http/connection-token.ts'
import { addConnections } from './http/connections.ts'
import { addHealth } from './http/health.ts'
import { addManagedStreams } from './http/managed-streams.ts'
import { addMetrics } from './http/metrics.ts'
import { addMonitor } from './http/monitor.ts'
import { addPolling } from './http/polling.ts'
import { addPresence } from './http/presence.ts'
import { addPublishing } from './http/publishing.ts'
import { addRelays } from './http/relays.ts'
import { addRuns } from './http/runs.ts'
import { routePermissions } from './route-permissions.ts'

/** The part of a drain's time in which runs may finish and readers of the hub leave; what is left is for the readers of runs. */
const RUNS_SHARE = 0.8

/** Builds the gateway's app. It never listens. */
export async function createGatewayApp(deps: Deps): Promise<App> {
  const { logger, authenticator, drain, hub, runs, streams, store, config, clock, metrics } = deps
  const runsMs = config.DRAIN_MS * RUNS_SHARE
  const components = () => ({ store: store.health, ...deps.limitsHealth() })
  const app = await createApp({
    name: 'Tributary gateway',
    version: '0.1.0',
    description: "Keeps users' and groups' streams; relays, merges and runs.",
    logger,
    authenticator,
    web: config,
    permissions: routePermissions(config.NODE_ENV),
    ...serverLimitsOf(config),
    refuseStream: (reply, error) => refuseStream(reply, error, cursorQueryOf(reply.request)),
    clock,
    drain,
    metrics,
    components,
    ...(deps.rateStore === undefined ? {} : { rateStore: deps.rateStore }),
    ready: async () => {
      if (store.health.status === 'degraded') throw new StoreUnavailableError(store.health.reason)
      return hub.probe()
    },
  })
  await app.register(hubPlugin, { hub })
  addManagedStreams(app, deps)
  addPolling(app, deps)
  addPublishing(app, deps)
  addConnections(app, deps)
  addPresence(app, deps)
  addConnectionToken(app, deps)
  if (deps.streamTokens !== undefined) addStreamTokens(app, deps.streamTokens)
  const nodes = addNodes(app, {
    cluster: deps.cluster,
    drain,
    components,
    load: () => ({ connections: hub.local.count(), streams: streams.totals().open, runs: runs.runningCount }),
  })
  addRevocations(app, deps)
  addMonitor(app, deps)
  addMetrics(app, deps)
  addHealth(app, deps, nodes)
  addSessionRoutes(app, deps)
  addRelays(app, deps)
  addRuns(app, deps)
  await addStaticPage(app, SSE_CLIENT_PAGE)
  // Together: readers of the hub need not wait for the last run to finish.
  drain.onDrain('hub and runs', async (limit) => {
    await Promise.all([hub.drain(runsMs, limit), runs.drain(runsMs)])
  })
  // Streams are no longer the server's to close.
  app.addHook('preClose', async () => streams.endAll('drain'))
  drain.onDrain('streams', (limit) => streams.drain(config.DRAIN_MS - runsMs, limit))
  return app
}
