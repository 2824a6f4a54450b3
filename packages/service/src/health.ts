import { HealthAnswer, ProblemError, ReadyAnswer } from '@tributary/protocol'
import type { App } from './app.ts'
import { type Drain, drainingError } from './drain.ts'

/** Whether requests can be served. To say why not it throws a `ProblemError`. */
export type ReadyCheck = () => Promise<boolean>

export interface HealthOptions {
  readonly drain: Drain
  /** Default: always ready. */
  readonly ready?: ReadyCheck
}

/** The longest that `/readyz` waits for the check, in ms. */
const READY_TIMEOUT_MS = 2000

const ALWAYS = { config: { auth: 'none', whileDraining: 'serve' }, logLevel: 'warn' } as const

/** Adds `/healthz`, which says that the process lives, and `/readyz`, which says that it can serve. */
export function addHealth(app: App, { drain, ready = async () => true }: HealthOptions): void {
  app.get(
    '/healthz',
    {
      ...ALWAYS,
      schema: { tags: ['health'], summary: 'Whether the process lives', response: { 200: HealthAnswer } },
    },
    async (_request, reply) => {
      reply.header('cache-control', 'no-store')
      return { status: drain.state === 'serving' ? ('ok' as const) : ('draining' as const) }
    },
  )

  app.get(
    '/readyz',
    {
      ...ALWAYS,
      schema: { tags: ['health'], summary: 'Whether requests can be served', response: { 200: ReadyAnswer } },
    },
    async (request, reply) => {
      if (drain.state !== 'serving') throw drainingError()
      reply.header('cache-control', 'no-store')
      const isReady = await withinTimeout(ready()).catch((error: unknown) => {
        if (error instanceof ProblemError) throw error
        request.log.warn({ err: error }, 'ready check failed')
        return false
      })
      if (!isReady)
        throw new ProblemError('upstream_unavailable', 'The service cannot serve yet.', { retryAfterS: 1 })
      return { status: 'ready' as const }
    },
  )
}

function withinTimeout(check: Promise<boolean>): Promise<boolean> {
  const { promise, reject } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => reject(new Error('The ready check took too long')), READY_TIMEOUT_MS)
  return Promise.race([check, promise]).finally(() => clearTimeout(timer))
}
