import type { Naming, RunAccepted, StreamQuery } from '@tributary/protocol'
import type { KnownRun } from '@tributary/runs'
import { replyWithLog, startOrResume } from '@tributary/sse/fastify'
import type { FastifyReply } from 'fastify'
import type { Deps } from '../deps.ts'

/** Answers with a run's stream. */
export async function replyWithRun(
  reply: FastifyReply,
  run: KnownRun,
  query: StreamQuery,
  naming: Naming,
  { streams, config, logger }: Deps,
): Promise<FastifyReply> {
  await replyWithLog(reply, {
    streams,
    log: await run.openLog(),
    runId: run.id,
    query,
    naming,
    timeoutMs: config.STREAM_TIMEOUT_MS,
    maxTimeoutMs: config.STREAM_MAX_TIMEOUT_MS,
    onError: (error) => logger.error({ err: error, runId: run.id }, 'log cannot be read'),
  })
  return reply
}

/** Answers the request that started a run: with its stream, or with 202 and where to read it. */
export async function replyWithNewRun(
  reply: FastifyReply,
  run: KnownRun,
  query: StreamQuery,
  deps: Deps,
): Promise<FastifyReply> {
  if (!prefersJson(reply.request.headers.accept)) return replyWithRun(reply, run, query, 'emitter', deps)
  const location = `/api/runs/${run.id}`
  const accepted: RunAccepted = { runId: run.id, status: run.status, events: `${location}/events` }
  return reply.code(202).headers({ 'run-id': run.id, location }).send(accepted)
}

/** Whether a client asks for JSON and not for a stream. */
function prefersJson(accept = ''): boolean {
  return accept.includes('application/json') && !accept.includes('text/event-stream')
}

/** Answers a GET that starts a run, or goes on with the one that its cursor names. */
export async function replyWithStartedRun(
  reply: FastifyReply,
  query: StreamQuery,
  start: () => Promise<KnownRun>,
  deps: Deps,
): Promise<FastifyReply> {
  const run = await startOrResume(reply, query, { start, find: (runId) => deps.runs.get(runId) })
  return run === undefined ? reply : replyWithNewRun(reply, run, query, deps)
}
