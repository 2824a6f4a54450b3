import { untilRedisStays } from '@tributary/backends'
import { createLogger, runService } from '@tributary/service'
import { createWorkerApp } from './app.ts'
import { readWorkerConfig } from './config.ts'
import { createDeps } from './deps.ts'
import { recoverRuns } from './tasks/recover-runs.ts'

await runService({
  name: 'worker',
  readConfig: readWorkerConfig,
  async build(config, { waits }) {
    const logger = () => createLogger({ name: 'worker', level: config.LOG_LEVEL })
    const deps = await untilRedisStays(() => createDeps(config, { onWaiting: waits }), {
      config,
      logger,
      onWaiting: waits,
    })
    await using opened = new AsyncDisposableStack()
    opened.defer(() => deps.close())
    const app = await createWorkerApp(deps)
    opened.move()
    return {
      app,
      drain: deps.drain,
      begin: async (url) => {
        deps.cluster.listensAt(config.NODE_URL ?? url)
        deps.consistency.begin()
        await recoverRuns(deps)
      },
      close: () => deps.close(),
    }
  },
  address: ({ HOST, WORKER_PORT }) => ({ host: HOST, port: WORKER_PORT, portVariable: 'WORKER_PORT' }),
})
