import { RunAccepted, systemClock } from '@tributary/protocol'
import { type Asker, WorkerTokens } from '@tributary/service'
import { type CollectorInit, EventCollector, lastingPort } from '@tributary/testkit'
import { Compile } from 'typebox/compile'
import { createWorkerApp } from '../src/app.ts'
import { readWorkerConfig } from '../src/config.ts'
import { createDeps, type Deps, type DepsOptions } from '../src/deps.ts'

const PARALLEL_TASKS = '/api/sse/emitter/parallel-tasks'
const runAccepted = Compile(RunAccepted)

/** What the gateway that has this secret shows its worker, on behalf of somebody or as itself. */
export async function gatewayHeaders(secret: string, asker?: Asker): Promise<Record<string, string>> {
  const token = await new WorkerTokens({ secret, clock: systemClock }).of(asker)
  return { authorization: `Bearer ${token}` }
}

/** A worker in this process, that listens. */
export interface RunningWorker extends AsyncDisposable {
  readonly url: string
  readonly deps: Deps
  /** Starts tasks, and reads their stream. */
  run(body: unknown, headers?: CollectorInit['headers']): Promise<EventCollector>
  /** Starts tasks, and reads no stream. */
  start(body: unknown, headers?: CollectorInit['headers']): Promise<RunAccepted>
  /** The same request, for its answer alone. */
  post(body: unknown, headers?: CollectorInit['headers']): Promise<Response>
}

/** Starts a worker on a free port. It may call this machine, unless `env` says otherwise. */
export async function startWorker(
  env: Readonly<Record<string, string>> = {},
  options: DepsOptions = {},
): Promise<RunningWorker> {
  const port = await lastingPort()
  const config = readWorkerConfig({
    NODE_ENV: 'test',
    LOG_LEVEL: 'silent',
    STORE: 'memory',
    WORKER_PORT: String(port),
    OUTBOUND_ALLOW: '127.0.0.1,localhost',
    ...env,
  })
  const deps = await createDeps(config, options)
  const app = await createWorkerApp(deps)
  const url = await app.listen({ host: '127.0.0.1', port })
  const post = (body: unknown, headers: CollectorInit['headers'] = {}) =>
    fetch(url + PARALLEL_TASKS, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
  return {
    url,
    deps,
    run: (body, headers = {}) => EventCollector.open(url + PARALLEL_TASKS, { body, headers }),
    start: async (body, headers = {}) => {
      const answer = await post(body, { ...headers, accept: 'application/json' })
      return runAccepted.Parse(await answer.json())
    },
    post,
    async [Symbol.asyncDispose]() {
      await app.close()
      await deps.close()
    },
  }
}
