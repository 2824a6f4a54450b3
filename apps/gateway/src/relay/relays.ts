import type { Fetch } from '@tributary/client'
import type { ReadableLog } from '@tributary/eventlog'
import {
  type Clock,
  type HybridRequest,
  type MergeRequest,
  type ParallelTasksRequest,
  ProblemError,
  type RelayRequest,
} from '@tributary/protocol'
import type { HandlerRunner, KnownRun, RunRegistry, RunWork, StartOptions, TaskLog } from '@tributary/runs'
import { type Endpoint, parseEndpoint } from './endpoint.ts'
import { runHybrid } from './hybrid.ts'
import { planHybrid } from './hybrid-plan.ts'
import type { RunMirror } from './run-mirror.ts'
import type { RunMirrors } from './run-mirrors.ts'
import { ForeignSource, type Source, SourceError, type SourceEvent, WorkerRunSource } from './source.ts'
import { readSources } from './source-run.ts'
import type { WorkerPool } from './worker-pool.ts'

const PARALLEL_TASKS = '/api/sse/emitter/parallel-tasks'
const RUN_EVENTS = /^\/api\/runs\/([^/?]+)\/events(?:\?|$)/

/** A run that can be read here: one of this gateway, or a worker's through its mirror. */
export type ReadableRun =
  | { readonly kind: 'own'; readonly runId: string; readonly log: ReadableLog; readonly run: KnownRun }
  | {
      readonly kind: 'mirrored'
      readonly runId: string
      readonly log: ReadableLog
      readonly mirror: RunMirror
    }

export interface RelaysOptions {
  readonly pool: WorkerPool
  readonly mirrors: RunMirrors
  readonly runs: RunRegistry
  readonly handlers: HandlerRunner
  readonly clock: Clock
  readonly log: TaskLog
  readonly random: () => number
  /** `fetch` for absolute endpoints. */
  readonly fetch: Fetch
  readonly allowedOrigins: ReadonlySet<string>
  readonly maxEventBytes: number
  readonly maxEventChars: number
  /** How long a foreign stream that broke is waited for. */
  readonly giveUpMs: number
  readonly maxTasks: number
  readonly taskTimeoutMs: number
  /** Local tasks of a run at a time, by default and at most. */
  readonly concurrency: number
  readonly maxConcurrency: number
}

/** What the gateway does with streams and tasks of others; the same from code as over HTTP. */
export class Relays {
  readonly #options: RelaysOptions

  constructor(options: RelaysOptions) {
    this.#options = options
  }

  /** Runs tasks on a worker. The run and its ids are the worker's. @throws ProblemError */
  parallelTasks(request: ParallelTasksRequest): Promise<ReadableRun> {
    return this.#onWorker(PARALLEL_TASKS, 'POST', request)
  }

  /** Starts what a GET of a worker starts. @throws ProblemError */
  startOnWorker(path: string): Promise<ReadableRun> {
    return this.#onWorker(path, 'GET', undefined)
  }

  /**
   * Relays one stream: a worker's run under its own ids, or a foreign stream with a log of its own here.
   *
   * @throws ProblemError `invalid_endpoint`, `origin_refused`; what the worker refuses.
   */
  async relay(request: RelayRequest, userId: string): Promise<ReadableRun> {
    const { endpoint, body } = request
    const method = request.method ?? (body === undefined ? 'GET' : 'POST')
    const parsed = parseEndpoint(endpoint, this.#options.allowedOrigins, 'body/endpoint')
    if (parsed.kind === 'worker') return this.#onWorker(parsed.path, method, body)
    const source = this.#foreign(endpoint, parsed.url, { method, body })
    const work = readSources([source], this.#options.maxEventBytes)
    return this.#own({ kind: 'relay', userId, totalTasks: 1 }, work, [source])
  }

  /**
   * Merges several streams into one run.
   *
   * @throws ProblemError `invalid_endpoint`, `origin_refused`, `duplicate_source`; `upstream_unavailable` where
   *   none of the sources can be begun for lack of a worker.
   */
  async merge(request: MergeRequest, userId: string): Promise<ReadableRun> {
    const { allowedOrigins, maxEventBytes } = this.#options
    const names = new Set<string>()
    const endpoints = request.map((given, index) => {
      const { endpoint, name = endpoint } = typeof given === 'string' ? { endpoint: given } : given
      const parsed = parseEndpoint(endpoint, allowedOrigins, `body/${index}`)
      if (names.has(name)) throw duplicateSource(name, index)
      names.add(name)
      return { name, parsed }
    })
    const begun = await Promise.allSettled(endpoints.map(({ name, parsed }) => this.#source(name, parsed)))
    const failures = begun.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []))
    if (failures.length === begun.length && failures.every(isUnavailable)) throw failures[0]
    const sources = begun.map((each, index) =>
      each.status === 'fulfilled' ? each.value : failedSource(endpoints[index]?.name ?? '', each.reason),
    )
    const work = readSources(sources, maxEventBytes)
    return this.#own({ kind: 'merge', userId, totalTasks: sources.length }, work, sources)
  }

  /** Runs local and remote tasks as one run. @throws ProblemError that names the task. */
  async hybrid(request: HybridRequest, userId: string): Promise<ReadableRun> {
    const { handlers, clock, log, maxEventBytes, maxTasks, taskTimeoutMs, maxConcurrency } = this.#options
    const { localTasks: _local, remoteTasks: _remote, deadlineMs, ...limits } = request
    const { concurrency = Math.min(this.#options.concurrency, maxConcurrency), failFast = false } = limits
    if (concurrency > maxConcurrency) throw tooConcurrent(maxConcurrency)
    const plan = planHybrid(request, { maxTasks, defaultTimeoutMs: taskTimeoutMs, handlers })
    const remote =
      plan.remote.length === 0 ? undefined : await this.#remote({ tasks: [...plan.remote], ...limits })
    const work = runHybrid({ ...plan, concurrency, failFast }, remote, {
      handlers,
      clock,
      log,
      maxEventBytes,
    })
    const totalTasks = plan.local.length + plan.remote.length
    const start = {
      kind: 'hybrid',
      userId,
      totalTasks,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    } as const
    return this.#own(start, work, remote === undefined ? [] : [remote])
  }

  async #remote(request: ParallelTasksRequest): Promise<Source> {
    try {
      const { runId, worker } = await this.#options.pool.start(PARALLEL_TASKS, post(request))
      const mirror = this.#options.mirrors.of(runId, worker)
      return new WorkerRunSource({ name: 'worker', mirror, release: mirror.hold(), owned: true })
    } catch (error) {
      throw error instanceof ProblemError ? inRemoteTasks(error) : error
    }
  }

  async #onWorker(path: string, method: string, body: unknown): Promise<ReadableRun> {
    const mirror = await this.#mirror(path, method, body)
    return { kind: 'mirrored', runId: mirror.runId, log: mirror.log, mirror }
  }

  async #mirror(path: string, method: string, body?: unknown): Promise<RunMirror> {
    const { pool, mirrors } = this.#options
    const existing = RUN_EVENTS.exec(path)?.[1]
    if (existing !== undefined) return mirrors.find(decodeURIComponent(existing))
    const { runId, worker } = await pool.start(
      path,
      body === undefined ? { method } : { ...post(body), method },
    )
    return mirrors.of(runId, worker)
  }

  async #source(name: string, endpoint: Endpoint): Promise<Source> {
    if (endpoint.kind === 'foreign')
      return this.#foreign(name, endpoint.url, { method: 'GET', body: undefined })
    const mirror = await this.#mirror(endpoint.path, 'GET')
    return new WorkerRunSource({
      name,
      mirror,
      release: mirror.hold(),
      owned: !RUN_EVENTS.test(endpoint.path),
    })
  }

  #foreign(
    name: string,
    url: string,
    { method, body }: Pick<RelayRequest, 'body'> & { method: ForeignMethod },
  ): Source {
    const { fetch, clock, random, maxEventChars, giveUpMs } = this.#options
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    return new ForeignSource({ name, url, method, body: text, fetch, clock, random, maxEventChars, giveUpMs })
  }

  /** Starts a run of this gateway. What was begun for it elsewhere ends where it cannot be. */
  async #own(start: StartOptions, work: RunWork, sources: readonly Source[]): Promise<ReadableRun> {
    try {
      const run = await this.#options.runs.start(start, work)
      return { kind: 'own', runId: run.id, log: run.log, run }
    } catch (error) {
      await Promise.allSettled(sources.map((source) => source.cancel()))
      throw error
    }
  }
}

type ForeignMethod = NonNullable<RelayRequest['method']>

const post = (body: unknown) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

function tooConcurrent(max: number): ProblemError {
  const message = `must be at most ${max}`
  return new ProblemError('invalid_request', `"concurrency" ${message}.`, {
    errors: [{ path: 'body/concurrency', message }],
  })
}

function duplicateSource(name: string, index: number): ProblemError {
  const message = `${JSON.stringify(name)} is there twice; give one of them a "name" of its own`
  return new ProblemError('duplicate_source', `The source ${message}.`, {
    errors: [{ path: `body/${index}`, message }],
  })
}

function isUnavailable(error: unknown): boolean {
  return error instanceof ProblemError && error.code === 'upstream_unavailable'
}

/** A source that could not even be begun: its readers are told like those of one that breaks. */
function failedSource(name: string, reason: unknown): Source {
  return {
    name,
    // biome-ignore lint/correctness/useYield: it fails before its first event
    async *read(): AsyncGenerator<SourceEvent> {
      throw SourceError.from(reason)
    },
    async cancel() {},
  }
}

/** The worker calls them `tasks`; here they came as `remoteTasks`. */
function inRemoteTasks(error: ProblemError): ProblemError {
  const errors = error.errors?.map((each) => ({
    ...each,
    path: each.path.replace(/^body\/tasks\b/, 'body/remoteTasks'),
  }))
  const retry = error.retryAfterS === undefined ? {} : { retryAfterS: error.retryAfterS }
  return new ProblemError(error.code, error.message, {
    cause: error,
    ...(errors === undefined ? {} : { errors }),
    ...retry,
  })
}
