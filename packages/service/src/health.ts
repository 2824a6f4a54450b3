import {
  type ComponentHealth,
  HealthAnswer,
  type ProbeResult,
  ProblemError,
  ReadyAnswer,
} from '@tributary/protocol'
import type { App } from './app.ts'
import { type Drain, drainingError } from './drain.ts'

/** What proves that requests can be served; `undefined` where nothing needs to. To say why not it throws a `ProblemError`. */
export type ReadyCheck = () => Promise<ProbeResult | undefined>

/** How the parts of a service are, by name. */
export type ComponentsCheck = () => Readonly<Record<string, ComponentHealth>>

const NO_COMPONENTS: ComponentsCheck = () => ({})

export interface HealthOptions {
  readonly drain: Drain
  /** Default: there are none to tell of. */
  readonly components?: ComponentsCheck
  /** Of this process, where it is one of a cluster. */
  readonly nodeId?: string | undefined
  /** Default: always ready. */
  readonly ready?: ReadyCheck
}

/** The longest that `/readyz` waits for the check, in ms. */
const READY_TIMEOUT_MS = 2000

const ALWAYS = { config: { auth: 'none', whileDraining: 'serve', watching: true }, logLevel: 'warn' } as const

/** Adds `/healthz`, which says that the process lives, and `/readyz`, which says that it can serve. */
export function addHealth(app: App, options: HealthOptions): void {
  const { drain, components = NO_COMPONENTS, nodeId, ready = async () => undefined } = options
  app.get(
    '/healthz',
    {
      ...ALWAYS,
      schema: { tags: ['health'], summary: 'Whether the process lives', response: { 200: HealthAnswer } },
    },
    async (_request, reply) => {
      reply.header('cache-control', 'no-store')
      const parts = components()
      const degraded = Object.values(parts).some(({ status }) => status !== 'ok')
      const serving = degraded ? ('degraded' as const) : ('ok' as const)
      return {
        status: drain.state === 'serving' ? serving : ('draining' as const),
        ...(Object.keys(parts).length === 0 ? {} : { components: { ...parts } }),
        ...(nodeId === undefined ? {} : { nodeId }),
      }
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
      const probe = await withinTimeout(ready()).catch((error: unknown) => {
        if (error instanceof ProblemError) throw error
        request.log.warn({ err: error }, 'ready check failed')
        throw new ProblemError('not_ready', 'The service cannot serve yet.', { retryAfterS: 1, cause: error })
      })
      // It may have begun meanwhile.
      if (drain.state !== 'serving') throw drainingError()
      return { status: 'ready' as const, ...(probe === undefined ? {} : { probe }) }
    },
  )
}

function withinTimeout<T>(check: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error('The ready check took too long')), READY_TIMEOUT_MS)
  return Promise.race([check, promise]).finally(() => clearTimeout(timer))
}
