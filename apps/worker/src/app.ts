import { StoreUnavailableError } from '@tributary/eventlog'
import {
  type App,
  addNodes,
  addRevocations,
  addStaticPage,
  createApp,
  SSE_CLIENT_PAGE,
  serverLimitsOf,
} from '@tributary/service'
import { cursorQueryOf, refuseStream } from '@tributary/sse/fastify'
import type { Deps } from './deps.ts'
import { addDemonstrations } from './http/demonstrations.ts'
import { addParallelTasks } from './http/parallel-tasks.ts'
import { addRuns } from './http/runs.ts'
import { addSampleApi } from './http/sample-api.ts'
import { ROUTE_PERMISSIONS } from './route-permissions.ts'

/** The part of a drain's time in which runs may finish; in what is left their readers are sent away. */
const RUNS_SHARE = 0.8

/** Builds the worker's app. It never listens. */
export async function createWorkerApp(deps: Deps): Promise<App> {
  const { logger, authenticator, drain, runs, streams, store, config, clock, metrics, probe } = deps
  const components = () => ({ store: store.health, ...deps.limitsHealth() })
  const app = await createApp({
    name: 'Tributary worker',
    version: '0.1.0',
    description: 'Runs many calls to external APIs in parallel, and streams what happens.',
    logger,
    authenticator,
    web: config,
    permissions: ROUTE_PERMISSIONS,
    ...serverLimitsOf(config),
    refuseStream: (reply, error) => refuseStream(reply, error, cursorQueryOf(reply.request)),
    clock,
    drain,
    metrics,
    components,
    ...(deps.rateStore === undefined ? {} : { rateStore: deps.rateStore }),
    nodeId: deps.clustered ? deps.cluster.nodeId : undefined,
    ready: async () => {
      if (store.health.status === 'degraded') throw new StoreUnavailableError(store.health.reason)
      return probe.run()
    },
  })
  addParallelTasks(app, deps)
  addRuns(app, deps)
  addNodes(app, {
    cluster: deps.cluster,
    drain,
    components,
    load: () => ({ streams: streams.totals().open, runs: runs.runningCount }),
  })
  addRevocations(app, deps)
  if (config.NODE_ENV !== 'production') {
    addSampleApi(app)
    addDemonstrations(app, deps)
  }
  await addStaticPage(app, SSE_CLIENT_PAGE)
  drain.onDrain('announcement', async () => deps.announcement.tell())
  drain.onDrain('runs', () => runs.drain(config.DRAIN_MS * RUNS_SHARE))
  // Streams are no longer the server's to close.
  app.addHook('preClose', async () => streams.endAll('drain'))
  drain.onDrain('streams', (limit) => streams.drain(config.DRAIN_MS * (1 - RUNS_SHARE), limit))
  return app
}
