import type { Naming, RunAccepted, RunEventsQuery, StreamQuery } from '@tributary/protocol'
import type { KnownRun, StartedOnce } from '@tributary/runs'
import { replyWithLog, replyWithPoll, startOrResume } from '@tributary/sse/fastify'
import type { FastifyReply } from 'fastify'
import type { Deps } from '../deps.ts'

/** Answers with a run's events: as a stream, or as a page of JSON to a client that asks for that. */
export function replyWithRun(
  reply: FastifyReply,
  run: KnownRun,
  query: RunEventsQuery,
  deps: Deps,
): Promise<FastifyReply> {
  if (prefersJson(reply.request.headers.accept)) return replyWithPage(reply, run, query, deps)
  return replyWithStream(reply, run, query, 'standard', deps)
}

async function replyWithPage(
  reply: FastifyReply,
  run: KnownRun,
  query: RunEventsQuery,
  { streams }: Deps,
): Promise<FastifyReply> {
  const release = run.hold()
  try {
    const log = await run.openLog()
    await replyWithPoll(reply, { streams, log, runId: run.id, query, naming: 'standard' })
  } finally {
    release()
  }
  return reply
}

async function replyWithStream(
  reply: FastifyReply,
  run: KnownRun,
  query: StreamQuery,
  naming: Naming,
  { streams, config, logger }: Deps,
): Promise<FastifyReply> {
  const release = run.hold()
  try {
    const stream = await replyWithLog(reply, {
      streams,
      log: await run.openLog(),
      runId: run.id,
      query,
      naming,
      timeoutMs: config.STREAM_TIMEOUT_MS,
      maxTimeoutMs: config.STREAM_MAX_TIMEOUT_MS,
      onError: (error) => logger.error({ err: error, runId: run.id }, 'log cannot be read'),
    })
    if (stream === undefined) release()
    else stream.onEnd(release)
  } catch (error) {
    release()
    throw error
  }
  return reply
}

/** Answers the request that started a run: with its stream, or with 202 and where to read it. */
export async function replyWithNewRun(
  reply: FastifyReply,
  { run, replayed }: StartedOnce,
  query: StreamQuery,
  deps: Deps,
): Promise<FastifyReply> {
  if (replayed) reply.header('idempotent-replayed', 'true')
  if (!prefersJson(reply.request.headers.accept)) return replyWithStream(reply, run, query, 'emitter', deps)
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
  start: () => Promise<StartedOnce>,
  deps: Deps,
): Promise<FastifyReply> {
  const find = (runId: string) => {
    const run = deps.runs.get(runId)
    return run === undefined ? undefined : { run, replayed: false }
  }
  const started = await startOrResume(reply, query, { start, find })
  return started === undefined ? reply : replyWithNewRun(reply, started, query, deps)
}
