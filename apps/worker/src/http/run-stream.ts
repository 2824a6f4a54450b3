import type { Naming, RunEventsQuery, StreamQuery } from '@tributary/protocol'
import type { KnownRun, StartedOnce } from '@tributary/runs'
import { credentialOf, prefersJson, replyAccepted, requireOwner } from '@tributary/service'
import type { LogStream, StreamSlot } from '@tributary/sse'
import { admitReply, refuseStream, replyWithLog, replyWithPoll, startOrResume } from '@tributary/sse/fastify'
import type { FastifyReply } from 'fastify'
import type { Deps } from '../deps.ts'

/** Answers with a run's events: as a stream, or as a page of JSON to a client that asks for that. */
export async function replyWithRun(
  reply: FastifyReply,
  run: KnownRun,
  query: RunEventsQuery,
  deps: Deps,
): Promise<FastifyReply> {
  if (prefersJson(reply)) return replyWithPage(reply, run, query, deps)
  try {
    await admitReply(reply, placeOf(reply, deps), (slot) =>
      open(reply, run, { query, naming: 'standard', slot }, deps),
    )
  } catch (error) {
    refuseStream(reply, error, query)
  }
  return reply
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
    const credential = credentialOf(reply.request)
    await replyWithPoll(reply, { streams, log, credential, runId: run.id, query, naming: 'standard' })
  } finally {
    release()
  }
  return reply
}

interface OpenOptions {
  readonly query: StreamQuery
  readonly naming: Naming
  readonly slot: StreamSlot | undefined
}

async function open(
  reply: FastifyReply,
  run: KnownRun,
  options: OpenOptions,
  { streams, config, logger }: Deps,
): Promise<LogStream | undefined> {
  const release = run.hold()
  try {
    const stream = await replyWithLog(reply, {
      ...options,
      streams,
      log: await run.openLog(),
      runId: run.id,
      credential: credentialOf(reply.request),
      timeoutMs: config.STREAM_TIMEOUT_MS,
      maxTimeoutMs: config.STREAM_MAX_TIMEOUT_MS,
      onError: (error) => logger.error({ err: error, runId: run.id }, 'log cannot be read'),
    })
    if (stream === undefined) release()
    else stream.onEnd(release)
    return stream
  } catch (error) {
    release()
    throw error
  }
}

/** Answers a request that starts a run: with its stream, or with 202 and where to read it. */
export async function replyWithNewRun(
  reply: FastifyReply,
  query: StreamQuery,
  start: () => Promise<StartedOnce>,
  deps: Deps,
): Promise<FastifyReply> {
  if (prefersJson(reply)) {
    await checkRoom(reply, deps)
    return replyAccepted(reply, acceptedOf(await start()))
  }
  await admitReply(reply, placeOf(reply, deps), async (slot) =>
    openStarted(reply, await start(), { query, slot }, deps),
  )
  return reply
}

/** Answers a GET that starts a run, or goes on with the one that its cursor names. */
export async function replyWithStartedRun(
  reply: FastifyReply,
  query: StreamQuery,
  start: () => Promise<StartedOnce>,
  deps: Deps,
): Promise<FastifyReply> {
  const resume = async (runId: string) => {
    const run = await deps.runs.get(runId)
    if (run === undefined) return undefined
    // A cursor says whose it is, and opens nothing.
    requireOwner(reply.request, run.userId)
    return { run, replayed: false }
  }
  const find = () => startOrResume(reply, query, { start, find: resume })
  try {
    if (prefersJson(reply)) {
      await checkRoom(reply, deps)
      const started = await find()
      return started === undefined ? reply : replyAccepted(reply, acceptedOf(started))
    }
    await admitReply(reply, placeOf(reply, deps), async (slot) => {
      const started = await find()
      return started && openStarted(reply, started, { query, slot }, deps)
    })
  } catch (error) {
    refuseStream(reply, error, query)
  }
  return reply
}

/** Who is answered JSON reads the stream next: a run that nobody can read is better begun elsewhere, or later. */
async function checkRoom(reply: FastifyReply, deps: Deps): Promise<void> {
  const { streams, reader } = placeOf(reply, deps)
  const slot = await streams.admitReader(reader, { address: reply.request.ip })
  slot.release()
}

/** What a stream takes its place of; nobody's where the gateway reads for others, whom it counts itself. */
function placeOf({ request }: FastifyReply, { streams }: Deps) {
  return { streams, reader: credentialOf(request)?.userId }
}

function openStarted(
  reply: FastifyReply,
  { run, replayed }: StartedOnce,
  options: Omit<OpenOptions, 'naming'>,
  deps: Deps,
): Promise<LogStream | undefined> {
  if (replayed) reply.header('idempotent-replayed', 'true')
  return open(reply, run, { ...options, naming: 'emitter' }, deps)
}

function acceptedOf({ run: { id, status }, replayed }: StartedOnce) {
  return { runId: id, status, replayed }
}
