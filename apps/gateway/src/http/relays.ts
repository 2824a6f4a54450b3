import {
  HybridRequest,
  IdempotencyHeaders,
  MergeRequest,
  ParallelTasksRequest,
  RelayRequest,
  RunAccepted,
  StreamQuery,
} from '@tributary/protocol'
import { type App, principalOf } from '@tributary/service'
import type { FastifyRequest } from 'fastify'
import type { Deps } from '../deps.ts'
import type { Asked } from '../relay/relays.ts'
import { replyWithNewRun, replyWithStartedRun } from './run-stream.ts'

const SAMPLE_PARALLEL = '/api/sse/sample-parallel'

const schema = {
  tags: ['runs'],
  description:
    'Answers with the stream of the run; with `Accept: application/json`, with 202 and where to read it. ' +
    'The same `Idempotency-Key` answers the same run.',
  querystring: StreamQuery,
  headers: IdempotencyHeaders,
  produces: ['text/event-stream'],
  response: { 202: RunAccepted },
}

/** The routes that relay, merge and run: each starts a run and answers with its stream. */
export function addRelays(app: App, deps: Deps): void {
  const { relays, config } = deps
  app.post(
    '/api/sse-proxy/reactive/parallel-tasks/sse-emitter',
    { schema: { ...schema, summary: 'Run tasks on a worker', body: ParallelTasksRequest } },
    async (request, reply) =>
      replyWithNewRun(reply, request.query, () => relays.parallelTasks(request.body, askedBy(request)), deps),
  )
  if (config.NODE_ENV !== 'production') addSample(app, deps)
  app.post(
    '/api/sse-proxy/merge-streams/sse-emitter',
    { schema: { ...schema, summary: 'Merge several streams into one', body: MergeRequest } },
    async (request, reply) =>
      replyWithNewRun(reply, request.query, () => relays.merge(request.body, askedBy(request)), deps),
  )
  app.post(
    '/api/sse-proxy/relay/sse-emitter',
    { schema: { ...schema, summary: 'Relay one stream', body: RelayRequest } },
    async (request, reply) =>
      replyWithNewRun(reply, request.query, () => relays.relay(request.body, askedBy(request)), deps),
  )
  app.post(
    '/api/sse-integration/hybrid-execution/sse-emitter',
    { schema: { ...schema, summary: 'Run local and remote tasks as one run', body: HybridRequest } },
    async (request, reply) =>
      replyWithNewRun(reply, request.query, () => relays.hybrid(request.body, askedBy(request)), deps),
  )
}

/** What the sample API gives, in development only: as its worker has none in production. */
function addSample(app: App, deps: Deps): void {
  const { relays } = deps
  app.get(
    '/api/sse-proxy/reactive/sample-parallel/sse-emitter',
    {
      // As the events of a run.
      config: { whileDraining: 'serve' },
      schema: { ...schema, summary: "A worker's sample tasks" },
    },
    async (request, reply) => {
      const start = () => relays.startOnWorker(SAMPLE_PARALLEL, askedBy(request))
      return replyWithStartedRun(reply, request.query, start, deps)
    },
  )
}

function askedBy(
  request: Pick<FastifyRequest, 'principal'> & { readonly headers: IdempotencyHeaders },
): Asked {
  const { userId, roles } = principalOf(request)
  return { userId, roles, idempotencyKey: request.headers['idempotency-key'] }
}
