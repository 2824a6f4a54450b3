import {
  HybridRequest,
  MergeRequest,
  ParallelTasksRequest,
  RelayRequest,
  StreamQuery,
} from '@tributary/protocol'
import { type App, principalOf } from '@tributary/service'
import type { Deps } from '../deps.ts'
import { replyWithNewRun, replyWithStartedRun } from './run-stream.ts'

const SAMPLE_PARALLEL = '/api/sse/sample-parallel'

/** The routes that relay, merge and run: each starts a run and answers with its stream. */
export function addRelays(app: App, deps: Deps): void {
  const { relays } = deps
  const tags = ['runs']
  const querystring = StreamQuery

  app.post(
    '/api/sse-proxy/reactive/parallel-tasks/sse-emitter',
    { schema: { tags, summary: 'Run tasks on a worker', querystring, body: ParallelTasksRequest } },
    ({ body, query }, reply) => replyWithNewRun(reply, query, () => relays.parallelTasks(body), deps),
  )
  app.get(
    '/api/sse-proxy/reactive/sample-parallel/sse-emitter',
    { schema: { tags, summary: "A worker's sample tasks", querystring } },
    ({ query }, reply) =>
      replyWithStartedRun(reply, query, () => relays.startOnWorker(SAMPLE_PARALLEL), deps),
  )
  app.post(
    '/api/sse-proxy/merge-streams/sse-emitter',
    { schema: { tags, summary: 'Merge several streams into one', querystring, body: MergeRequest } },
    (request, reply) => {
      const start = () => relays.merge(request.body, principalOf(request).userId)
      return replyWithNewRun(reply, request.query, start, deps)
    },
  )
  app.post(
    '/api/sse-proxy/relay/sse-emitter',
    { schema: { tags, summary: 'Relay one stream', querystring, body: RelayRequest } },
    (request, reply) => {
      const start = () => relays.relay(request.body, principalOf(request).userId)
      return replyWithNewRun(reply, request.query, start, deps)
    },
  )
  app.post(
    '/api/sse-integration/hybrid-execution/sse-emitter',
    { schema: { tags, summary: 'Run local and remote tasks as one run', querystring, body: HybridRequest } },
    (request, reply) => {
      const start = () => relays.hybrid(request.body, principalOf(request).userId)
      return replyWithNewRun(reply, request.query, start, deps)
    },
  )
}
