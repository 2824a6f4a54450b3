import Type from 'typebox'
import { parseStaticTokens, StaticTokens } from '../src/auth/tokens/static-tokens.ts'
import { Authenticator, createApp, createLogger, Drain, readConfig, runService } from '../src/index.ts'

const Config = Type.Object({
  HOST: Type.String({ default: '127.0.0.1' }),
  GATEWAY_PORT: Type.Integer({ minimum: 0, maximum: 65_535, default: 0 }),
  LOG_LEVEL: Type.String({ default: 'warn' }),
  FAULT: Type.Optional(Type.Enum(['build', 'later', 'rejection', 'hang'])),
})

/** A whole service as a process of its own: `node example-service.ts NAME=value …`. */
await runService({
  name: 'gateway',
  readConfig: () =>
    readConfig(Config, Object.fromEntries(process.argv.slice(2).map((pair) => pair.split('=', 2)))),
  address: (config) => ({ host: config.HOST, port: config.GATEWAY_PORT, portVariable: 'GATEWAY_PORT' }),
  build: async ({ LOG_LEVEL, FAULT }) => {
    if (FAULT === 'build') throw new Error('cannot build')
    const logger = createLogger({ name: 'gateway', level: LOG_LEVEL })
    const drain = new Drain({ limitMs: 10_000, logger })
    if (FAULT === 'hang') drain.onDrain('hang', () => new Promise(() => {}))
    const authenticator = new Authenticator({ tokens: new StaticTokens(), trustLoopback: true })
    const app = await createApp({
      name: 'Gateway',
      version: '0',
      description: '',
      logger,
      drain,
      authenticator,
    })
    app.addHook('onListen', async () => {
      if (FAULT === 'later') setImmediate(() => parseStaticTokens('later'))
      if (FAULT === 'rejection') setImmediate(() => Promise.reject(new Error('left alone')))
    })
    return { app, drain }
  },
})
