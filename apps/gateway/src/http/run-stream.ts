import { type Naming, ProblemError, type StreamQuery } from '@tributary/protocol'
import type { LogStream } from '@tributary/sse'
import { replyCursor, replyWithLog, startOrResume } from '@tributary/sse/fastify'
import type { FastifyReply } from 'fastify'
import type { Deps } from '../deps.ts'
import type { ReadableRun } from '../relay/relays.ts'

/** The run of an id: one of this gateway, or a worker's. @throws ProblemError `run_not_found`, `upstream_unavailable`. */
export async function findRun(runId: string, { runs, mirrors }: Deps): Promise<ReadableRun> {
  const run = runs.get(runId)
  if (run !== undefined) return { kind: 'own', runId, log: await run.openLog(), run }
  const mirror = await mirrors.find(runId)
  return { kind: 'mirrored', runId, log: mirror.log, mirror }
}

/** Answers with a run's stream, whoever owns the run. */
export async function replyWithRun(
  reply: FastifyReply,
  run: ReadableRun,
  query: StreamQuery,
  naming: Naming,
  deps: Deps,
): Promise<FastifyReply> {
  if (run.kind === 'own') {
    await open(reply, run, query, naming, deps)
    return reply
  }
  const { mirror } = run
  const release = mirror.hold()
  try {
    const presented = replyCursor(reply, query)
    await (presented?.cursor.kind === 'event' ? mirror.reach(presented.cursor.n) : mirror.opened)
    const stream = await open(reply, run, query, naming, deps)
    if (stream !== undefined) mirror.attach(stream)
  } finally {
    release()
  }
  return reply
}

function open(
  reply: FastifyReply,
  { runId, log }: ReadableRun,
  query: StreamQuery,
  naming: Naming,
  { streams, config, logger }: Deps,
): Promise<LogStream | undefined> {
  return replyWithLog(reply, {
    streams,
    log,
    runId,
    query,
    naming,
    timeoutMs: config.STREAM_TIMEOUT_MS,
    maxTimeoutMs: config.STREAM_MAX_TIMEOUT_MS,
    onError: (error) => logger.error({ err: error, runId }, 'log cannot be read'),
  })
}

/** Answers a POST with the stream of the run that it starts. A cursor that is none is refused before that. */
export async function replyWithNewRun(
  reply: FastifyReply,
  query: StreamQuery,
  start: () => Promise<ReadableRun>,
  deps: Deps,
): Promise<FastifyReply> {
  replyCursor(reply, query)
  return replyWithRun(reply, await start(), query, 'emitter', deps)
}

/** Answers a GET that starts a run, or goes on with the one that its cursor names. */
export async function replyWithStartedRun(
  reply: FastifyReply,
  query: StreamQuery,
  start: () => Promise<ReadableRun>,
  deps: Deps,
): Promise<FastifyReply> {
  const find = (runId: string) => findRun(runId, deps).catch(orNone)
  const run = await startOrResume(reply, query, { start, find })
  return run === undefined ? reply : replyWithRun(reply, run, query, 'emitter', deps)
}

function orNone(error: unknown): undefined {
  if (error instanceof ProblemError && error.code === 'run_not_found') return undefined
  throw error
}
