import type { RunEventsQuery, StreamQuery } from '@tributary/protocol'
import type { KnownRun, StartedOnce } from '@tributary/runs'
import { prefersJson, replyAccepted, requireOwner } from '@tributary/service'
import type { LogStream } from '@tributary/sse'
import { type RunReplies, type RunStreamOptions, refuseStream, startOrResume } from '@tributary/sse/fastify'
import type { FastifyReply } from 'fastify'
import type { Deps } from '../deps.ts'

/** Answers with a run's events: as a stream, or as a page of JSON to a client that asks for that. */
export async function replyWithRun(
  reply: FastifyReply,
  run: KnownRun,
  query: RunEventsQuery,
  deps: Deps,
): Promise<FastifyReply> {
  const { runReplies } = deps
  if (prefersJson(reply)) return runReplies.page(reply, run, query)
  try {
    await runReplies.admit(reply, (slot) =>
      runReplies.stream(reply, run, { query, naming: 'standard', slot }),
    )
  } catch (error) {
    refuseStream(reply, error, query)
  }
  return reply
}

/** Answers a request that starts a run: with its stream, or with 202 and where to read it. */
export async function replyWithNewRun(
  reply: FastifyReply,
  query: StreamQuery,
  start: () => Promise<StartedOnce>,
  { runReplies }: Deps,
): Promise<FastifyReply> {
  if (prefersJson(reply)) {
    await runReplies.checkRoom(reply)
    return replyAccepted(reply, acceptedOf(await start()))
  }
  await runReplies.admit(reply, async (slot) =>
    openStarted(reply, await start(), { query, slot }, runReplies),
  )
  return reply
}

/** Answers a GET that starts a run, or goes on with the one that its cursor names. */
export async function replyWithStartedRun(
  reply: FastifyReply,
  query: StreamQuery,
  start: () => Promise<StartedOnce>,
  { runs, runReplies }: Deps,
): Promise<FastifyReply> {
  const resume = async (runId: string) => {
    const run = await runs.get(runId)
    if (run === undefined) return undefined
    // A cursor says whose it is, and opens nothing.
    requireOwner(reply.request, run.userId)
    return { run, replayed: false }
  }
  const find = () => startOrResume(reply, query, { start, find: resume })
  try {
    if (prefersJson(reply)) {
      await runReplies.checkRoom(reply)
      const started = await find()
      return started === undefined ? reply : replyAccepted(reply, acceptedOf(started))
    }
    await runReplies.admit(reply, async (slot) => {
      const started = await find()
      return started && openStarted(reply, started, { query, slot }, runReplies)
    })
  } catch (error) {
    refuseStream(reply, error, query)
  }
  return reply
}

function openStarted(
  reply: FastifyReply,
  { run, replayed }: StartedOnce,
  options: Omit<RunStreamOptions, 'naming'>,
  runReplies: RunReplies,
): Promise<LogStream | undefined> {
  if (replayed) reply.header('idempotent-replayed', 'true')
  return runReplies.stream(reply, run, { ...options, naming: 'emitter' })
}

function acceptedOf({ run: { id, status }, replayed }: StartedOnce) {
  return { runId: id, status, replayed }
}
