import { createGatewayApp } from '@tributary/gateway/app'
import { readGatewayConfig } from '@tributary/gateway/config'
import { createDeps as createGatewayDeps, type Deps as GatewayDeps } from '@tributary/gateway/deps'
import { type CollectedEvent, type EventCollector, lastingPort } from '@tributary/testkit'
import { createWorkerApp } from '@tributary/worker/app'
import { readWorkerConfig } from '@tributary/worker/config'
import { createDeps as createWorkerDeps, type Deps as WorkerDeps } from '@tributary/worker/deps'

type Env = Readonly<Record<string, string>>

/** A service in this process, that listens. */
export interface Service<Deps> extends AsyncDisposable {
  readonly url: string
  readonly deps: Deps
  /** The method and path of each request that came. */
  readonly requests: string[]
  /** Its open sockets. */
  connectionCount(): Promise<number>
  /** Closes the connections that no request is on. */
  closeIdleConnections(): void
  /** Stops it, as disposing does. Idempotent. */
  close(): Promise<void>
}

export interface ServiceOptions extends NonNullable<Parameters<typeof createWorkerDeps>[1]> {
  readonly env?: Env
  /** Default: one that is free. */
  readonly port?: number
}

/** In memory: a service in this process is not there to be killed. What is, is a process of its own. */
const BASE = { NODE_ENV: 'test', LOG_LEVEL: 'silent', STORE: 'memory' }

/** Starts a worker in this process. It may call this machine, unless `env` says otherwise. */
export async function startWorker({
  env,
  port,
  ...options
}: ServiceOptions = {}): Promise<Service<WorkerDeps>> {
  const ownPort = port ?? (await lastingPort())
  const config = readWorkerConfig({
    ...BASE,
    OUTBOUND_ALLOW: '127.0.0.1,localhost',
    WORKER_PORT: String(ownPort),
    ...env,
  })
  const deps = await createWorkerDeps(config, options)
  return listen(await createWorkerApp(deps), deps, ownPort)
}

export interface GatewayOptions extends ServiceOptions {
  readonly workers?: readonly { readonly url: string }[]
  /** Whose absolute endpoints may be relayed. */
  readonly upstreams?: readonly { readonly url: string }[]
}

/** Starts a gateway in this process. Without workers it has one that is not there. */
export async function startGateway(given: GatewayOptions = {}): Promise<Service<GatewayDeps>> {
  const {
    env,
    port,
    workers = [{ url: `http://127.0.0.1:${await lastingPort()}` }],
    upstreams = [],
    ...options
  } = given
  const ownPort = port ?? (await lastingPort())
  const config = readGatewayConfig({
    ...BASE,
    GATEWAY_PORT: String(ownPort),
    WORKER_URLS: urlsOf(workers),
    RELAY_ALLOWED_ORIGINS: urlsOf(upstreams),
    OUTBOUND_ALLOW: '127.0.0.1',
    ...env,
  })
  const deps = await createGatewayDeps(config, options)
  return listen(await createGatewayApp(deps), deps, ownPort)
}

const urlsOf = (services: readonly { readonly url: string }[]) => services.map(({ url }) => url).join(',')

type App = Awaited<ReturnType<typeof createWorkerApp>>

async function listen<Deps extends { close(): Promise<void> }>(
  app: App,
  deps: Deps,
  port: number,
): Promise<Service<Deps>> {
  const requests: string[] = []
  app.server.prependListener('request', ({ method, url }) => requests.push(`${method} ${url}`))
  const url = await app.listen({ host: '127.0.0.1', port })
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= app.close().then(() => deps.close())
    return closed
  }
  return {
    url,
    deps,
    requests,
    connectionCount: () =>
      new Promise((resolve, reject) => {
        app.server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)))
      }),
    closeIdleConnections: () => app.server.closeIdleConnections(),
    close,
    [Symbol.asyncDispose]: close,
  }
}

export const PARALLEL_TASKS = '/api/sse-proxy/reactive/parallel-tasks/sse-emitter'
export const RELAY = '/api/sse-proxy/relay/sse-emitter'
export const MERGE = '/api/sse-proxy/merge-streams/sse-emitter'
export const HYBRID = '/api/sse-integration/hybrid-execution/sse-emitter'

/** Sends JSON. */
export function postJson(url: string, body: unknown, headers: Readonly<Record<string, string>> = {}) {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

const CONTROL = new Set([
  'connection',
  'gap',
  'heartbeat',
  'auth_expiring',
  'disconnected',
  'source_unavailable',
])

/** The events of the log, without those for one connection alone. */
export function logged({ events }: EventCollector): CollectedEvent[] {
  return events.filter(({ type }) => !CONTROL.has(type))
}

/** The run of a stream. */
export function runIdOf({ headers }: EventCollector): string {
  return String(headers['run-id'])
}
