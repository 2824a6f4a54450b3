import { once } from 'node:events'
import { connect } from 'node:net'
import { ProblemError } from '@tributary/protocol'
import Type from 'typebox'
import { onTestFinished } from 'vitest'
import { parseStaticTokens } from '../src/auth/tokens/static-tokens.ts'
import type { AppOptions } from '../src/create-app.ts'
import { type App, Authenticator, createApp, createLogger, Drain } from '../src/index.ts'

/** What the app logged, line by line. */
export type LogLines = Record<string, unknown>[]

export interface ServiceUnderTest {
  readonly app: App
  readonly drain: Drain
  readonly log: LogLines
  readonly port: number
  readonly url: string
}

export interface TestOptions extends Partial<AppOptions> {
  readonly trustLoopback?: boolean
  readonly drainMs?: number
  routes?(app: App): void
}

/** A logger that keeps what it writes. */
export function keptLog() {
  const lines: LogLines = []
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) }
  return { lines, logger: createLogger({ name: 'test', level: 'debug', destination }) }
}

/** A listening app with a few routes; closed when the test is over. */
export async function serve(options: TestOptions = {}): Promise<ServiceUnderTest> {
  const { lines, logger } = keptLog()
  const drain = options.drain ?? new Drain({ limitMs: options.drainMs ?? 5000, logger })
  const app = await createApp({
    name: 'Test',
    version: '1.0.0',
    description: 'A service under test.',
    logger,
    drain,
    authenticator: new Authenticator({
      tokens: parseStaticTokens('t-1=ann:admin|ops;t-2=bob'),
      trustLoopback: options.trustLoopback ?? true,
    }),
    ...options,
  })
  addRoutes(app)
  options.routes?.(app)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  onTestFinished(() => app.close())
  return { app, drain, log: lines, port: Number(new URL(url).port), url }
}

const Task = Type.Union([
  Type.String({ minLength: 1 }),
  Type.Object(
    { url: Type.String({ minLength: 1 }), timeoutMs: Type.Optional(Type.Integer({ minimum: 1 })) },
    { additionalProperties: false },
  ),
  Type.Object({ name: Type.String(), input: Type.Optional(Type.Unknown()) }, { additionalProperties: false }),
])

const Body = Type.Object(
  {
    tasks: Type.Array(Task, { minItems: 1 }),
    count: Type.Optional(Type.Integer({ minimum: 0, maximum: 10 })),
    mode: Type.Optional(Type.Enum(['fast', 'slow'])),
    event: Type.Optional(Type.String({ pattern: '^[a-z]+$', description: 'Letters only.' })),
  },
  { additionalProperties: false },
)

function addRoutes(app: App): void {
  app.post('/api/tasks', { schema: { body: Body } }, async ({ body }) => ({ got: body.tasks.length }))
  app.post('/api/runs/:id/cancel', async () => ({ cancelled: true }))
  const Query = Type.Object({
    size: Type.Optional(Type.Integer({ default: 7 })),
    on: Type.Optional(Type.Boolean()),
  })
  app.get(
    '/api/things/:id',
    { schema: { params: Type.Object({ id: Type.Integer() }), querystring: Query } },
    async (request) => ({
      id: request.params.id,
      ...request.query,
    }),
  )
  app.get('/api/who', async ({ principal }) => principal)
  app.get('/open', async ({ principal }) => ({ principal }))
  app.get('/perhaps', { config: { auth: 'optional' } }, async ({ principal }) => ({ principal }))
  app.get('/api/broken', async () => {
    throw new Error('secret reason')
  })
  app.get('/api/busy', async () => {
    throw new ProblemError('overloaded', 'Too much.', { retryAfterS: 3, headers: { 'X-Why': 'load' } })
  })
}

/** Sends bytes over a socket of its own, then nothing more, and reads until the server hangs up. */
export async function sendRaw(port: number, text: string, { halfClose = false } = {}): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  let answer = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    answer += chunk
  })
  socket.on('error', () => undefined)
  socket.write(text)
  if (halfClose) socket.end()
  await once(socket, 'end')
  socket.destroy()
  return answer
}
