import {
  type HttpMethod,
  type MergeRequest,
  type ParallelTasksRequest,
  ProblemError,
  type RelayRequest,
} from '@tributary/protocol'
import { type Endpoint, parseEndpoint } from './endpoint.ts'
import { sourceName } from './source-name.ts'
import type { StartRequest } from './worker-pool.ts'

/** A stream that a run is to read. */
export type SourceSpec = WorkerSpec | ForeignSpec

/** A run of a worker: one that is there, or one to start. */
export type WorkerSpec = { readonly kind: 'worker'; readonly name: string } & (
  | { readonly runId: string; readonly start?: undefined }
  | { readonly runId?: undefined; readonly start: StartRequest }
)

export interface ForeignSpec {
  readonly kind: 'foreign'
  readonly name: string
  readonly url: string
  readonly method: HttpMethod
  readonly body: string | undefined
}

const PARALLEL_TASKS = '/api/sse/emitter/parallel-tasks'
const RUN_EVENTS = /^\/api\/runs\/([^/?]+)\/events(?:\?|$)/

/** What the endpoint of a relay names. @throws ProblemError `invalid_endpoint`, `origin_refused`. */
export function relaySpec(request: RelayRequest, allowedOrigins: ReadonlySet<string>): SourceSpec {
  const { endpoint, body } = request
  const method = request.method ?? (body === undefined ? 'GET' : 'POST')
  return specOf(sourceName(endpoint), parseEndpoint(endpoint, allowedOrigins, 'body/endpoint'), method, body)
}

/** What the endpoints of a merge name. @throws ProblemError `invalid_endpoint`, `origin_refused`, `duplicate_source`. */
export function mergeSpecs(request: MergeRequest, allowedOrigins: ReadonlySet<string>): SourceSpec[] {
  const names = new Set<string>()
  return request.map((given, index) => {
    const { endpoint, name = sourceName(endpoint) } = typeof given === 'string' ? { endpoint: given } : given
    const parsed = parseEndpoint(endpoint, allowedOrigins, `body/${index}`)
    if (names.has(name)) throw duplicateSource(name, index)
    names.add(name)
    return specOf(name, parsed, 'GET')
  })
}

/** What a worker is asked for to run tasks. */
export function tasksOf(body: ParallelTasksRequest): StartRequest {
  const handlers = body.tasks.flatMap((task) => {
    if (typeof task === 'string') return [task]
    return 'url' in task ? [] : [task.name]
  })
  const request = { method: 'POST', ...jsonBody(JSON.stringify(body)) } as const
  return { path: PARALLEL_TASKS, request, handlers: [...new Set(handlers)] }
}

function specOf(name: string, endpoint: Endpoint, method: HttpMethod, body?: unknown): SourceSpec {
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
  if (endpoint.kind === 'foreign') return { kind: 'foreign', name, url: endpoint.url, method, body: text }
  const { path } = endpoint
  const existing = RUN_EVENTS.exec(path)?.[1]
  if (existing !== undefined) return { kind: 'worker', name, runId: decodeURIComponent(existing) }
  // To the worker a string is JSON, too.
  const sent = body === undefined ? {} : jsonBody(JSON.stringify(body))
  return { kind: 'worker', name, start: { path, request: { method, ...sent } } }
}

const jsonBody = (body: string) => ({ headers: { 'content-type': 'application/json' }, body })

function duplicateSource(name: string, index: number): ProblemError {
  const message = `${JSON.stringify(name)} is there twice; give one of them a "name" of its own`
  return new ProblemError('duplicate_source', `The source ${message}.`, {
    errors: [{ path: `body/${index}`, message }],
  })
}
