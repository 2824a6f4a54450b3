import { untilRedisStays } from '@tributary/backends'
import { createLogger, runService } from '@tributary/service'
import { createGatewayApp } from './app.ts'
import { readGatewayConfig } from './config.ts'
import { createDeps } from './deps.ts'
import { recoverRuns } from './relay/recover-runs.ts'

await runService({
  name: 'gateway',
  readConfig: readGatewayConfig,
  async build(config, { waits }) {
    const logger = () => createLogger({ name: 'gateway', level: config.LOG_LEVEL })
    const deps = await untilRedisStays(() => createDeps(config, { onWaiting: waits }), {
      config,
      logger,
      onWaiting: waits,
    })
    await using opened = new AsyncDisposableStack()
    opened.defer(() => deps.close())
    const app = await createGatewayApp(deps)
    opened.move()
    return {
      app,
      drain: deps.drain,
      begin: async (url) => {
        deps.cluster.listensAt(config.NODE_URL ?? url)
        deps.consistency.begin()
        await deps.announcedWorkers.begin()
        await recoverRuns(deps.runs, deps.ownRuns)
        await deps.owedCancels.begin()
      },
      close: () => deps.close(),
    }
  },
  address: ({ HOST, GATEWAY_PORT }) => ({ host: HOST, port: GATEWAY_PORT, portVariable: 'GATEWAY_PORT' }),
})
