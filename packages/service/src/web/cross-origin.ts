import cors, { type FastifyCorsOptions } from '@fastify/cors'
import { EXPOSED_HEADERS } from '@tributary/protocol'
import type { FastifyRequest } from 'fastify'
import type { App } from '../app.ts'
import { ConfigError } from '../config/config-error.ts'

/** What a configuration says of pages of other origins. */
export interface CrossOriginConfig {
  readonly CORS_ORIGINS: readonly string[]
  readonly CORS_CREDENTIALS: boolean
}

/** Stands for every origin. */
const ANY = '*'
const METHODS = ['GET', 'HEAD', 'POST', 'DELETE']
/** How long a browser may remember the answer to a preflight. */
const PREFLIGHT_MAX_AGE_S = 600

/** The origins of a configuration as browsers write them, without the `*` that stands for all. */
export function originsOf({ CORS_ORIGINS }: Pick<CrossOriginConfig, 'CORS_ORIGINS'>): string[] {
  return CORS_ORIGINS.filter((origin) => origin !== ANY).map((origin) => new URL(origin).origin)
}

/**
 * Lets pages of the configured origins read answers, streams and problems among them, and answers their preflights;
 * nothing is done without any. Hooks that may refuse a request must be added after it.
 *
 * @throws ConfigError where every origin may send cookies along: then no page on the web would be a stranger.
 */
export async function allowOrigins(app: App, config: CrossOriginConfig): Promise<void> {
  const { CORS_ORIGINS, CORS_CREDENTIALS: credentials } = config
  const isOpen = CORS_ORIGINS.includes(ANY)
  if (isOpen && credentials)
    throw new ConfigError(['CORS_ORIGINS must name origins, not *, where CORS_CREDENTIALS is true'])
  if (CORS_ORIGINS.length === 0) return
  const origins = new Set(originsOf(config))
  const known = {
    origin: isOpen ? ANY : [...origins],
    credentials,
    methods: METHODS,
    exposedHeaders: EXPOSED_HEADERS,
    maxAge: PREFLIGHT_MAX_AGE_S,
  } satisfies FastifyCorsOptions
  // Told nothing but that another might be told more.
  const unknown = { origin: false } satisfies FastifyCorsOptions
  // A plain OPTIONS asks for the methods of a path, and is answered as without CORS.
  const noPreflight = { ...known, preflight: false }

  const optionsOf = ({ headers, method }: FastifyRequest): FastifyCorsOptions => {
    const { origin } = headers
    if (origin === undefined || !(isOpen || origins.has(origin))) return unknown
    const isPreflight = headers['access-control-request-method'] !== undefined
    return method === 'OPTIONS' && !isPreflight ? noPreflight : known
  }
  await app.register(cors, {
    delegator: (request, callback) => callback(null, optionsOf(request)),
  })
}
