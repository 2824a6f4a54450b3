import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseEnv } from 'node:util'
import { LEVELS } from './log-line.ts'
import { ServiceProcess } from './service-process.ts'

const READY_WITHIN_MS = 30_000
const READY_POLL_MS = 50
const DEFAULT_DRAIN_MS = 30_000
/** What a service may need beyond its drain before it is killed. */
const DRAIN_SLACK_MS = 5_000
/** A signal within this time of the first is its echo: npm passes on the Ctrl-C that the terminal gave to us as well. */
const SIGNAL_ECHO_MS = 250

const root = resolve(import.meta.dirname, '..')
const envFile = join(root, '.env')
/** What the services will see: they read `.env` themselves, and the environment goes first. */
const settings = { ...(existsSync(envFile) ? parseEnv(readFileSync(envFile, 'utf8')) : {}), ...process.env }
const drainMs = Number(settings.DRAIN_MS) || DEFAULT_DRAIN_MS
const level = LEVELS[settings.LOG_LEVEL ?? ''] ?? LEVELS.info ?? 0

const services: ServiceProcess[] = []
let stopping: Promise<void> | undefined

function launch(name: string, env: NodeJS.ProcessEnv = {}): ServiceProcess {
  const service = new ServiceProcess({
    name,
    main: `apps/${name}/src/main.ts`,
    root,
    // At `warn` a service would not tell that it listens; what is shown is decided here.
    env: { ...process.env, ...env, ...(level > 30 ? { LOG_LEVEL: 'info' } : {}) },
    shownLevel: level < 30 ? level : Math.max(level, 40),
  })
  services.push(service)
  void service.ended.then((reason) => {
    if (stopping) return
    // A service that could not start has said why; one line is enough.
    if (!service.hasComplained) console.error(`tributary: the ${name} ended unexpectedly (${reason})`)
    void stop(1)
  })
  return service
}

/** Lets both services drain, then exits. */
function stop(exitCode: number): Promise<void> {
  stopping ??= Promise.all(services.map((service) => service.stop(drainMs + DRAIN_SLACK_MS))).then(() =>
    process.exit(exitCode),
  )
  return stopping
}

async function untilReady(service: ServiceProcess, url: string): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS
  while (service.isRunning && !stopping) {
    const answer = await fetch(new URL('/readyz', url), { signal: AbortSignal.timeout(2_000) }).catch(
      () => undefined,
    )
    await answer?.body?.cancel()
    if (answer?.status === 200) return
    if (Date.now() > deadline) {
      console.error(`tributary: the ${service.name} is not ready after ${READY_WITHIN_MS / 1000} s`)
      return stop(1)
    }
    await delay(READY_POLL_MS)
  }
}

/** The address for one who calls from this machine: a service on all interfaces is on the loopback too. */
function reachable(address: string): string {
  const url = new URL(address)
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1'
  if (url.hostname === '[::]') url.hostname = '[::1]'
  return url.origin
}

function announce(gateway: string, worker: string): void {
  console.log(`
Tributary is up.

  gateway   ${gateway}
  worker    ${worker}
  API       ${gateway}/docs  ${worker}/docs
  page      ${gateway}/sse-client.html

Try it, each in a terminal of its own:

  curl -N ${gateway}/api/sse/managed/connect
  curl -X POST ${gateway}/api/sse/managed/broadcast -H 'content-type: application/json' -d '{"event":"hello","data":{"text":"hi"}}'
  curl -N ${gateway}/api/sse-proxy/reactive/sample-parallel/sse-emitter

Ctrl-C ends both.`)
}

let signalledAt = Number.NEGATIVE_INFINITY
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (performance.now() - signalledAt < SIGNAL_ECHO_MS) return
    signalledAt = performance.now()
    if (!stopping) return void stop(0)
    // A second Ctrl-C: whoever presses it does not want to wait.
    for (const service of services) service.kill()
  })
}
process.on('disconnect', () => void stop(0))
// Whoever read our output may go before us; that is no reason to end the services.
for (const out of [process.stdout, process.stderr]) out.on('error', () => undefined)

const worker = launch('worker')
const workerUrl = reachable(await worker.listening)
const gateway = launch('gateway', settings.WORKER_URLS ? {} : { WORKER_URLS: workerUrl })
const gatewayUrl = reachable(await gateway.listening)
await Promise.all([untilReady(worker, workerUrl), untilReady(gateway, gatewayUrl)])
if (!stopping) announce(gatewayUrl, workerUrl)
