import { type Naming, ProblemError, type StreamQuery } from '@tributary/protocol'
import { type KnownRun, UnsureRunError } from '@tributary/runs'
import { type Asker, checkOwner, prefersJson, principalOf, replyAccepted } from '@tributary/service'
import type { LogStream } from '@tributary/sse'
import { type RunStreamOptions, refuseStream, replyCursor, startOrResume } from '@tributary/sse/fastify'
import type { FastifyReply } from 'fastify'
import type { Deps } from '../deps.ts'
import type { ReadableRun, StartedRun } from '../relay/relays.ts'

/** Seconds until who came to a gateway that is about to stop should try again. */
const DRAIN_RETRY_AFTER_S = 2

/**
 * What is done with a run of an id, for who may read it: with one of this gateway by `own`, with one of a worker by `other`.
 * Where neither has it, and this gateway cannot be sure of that, it says so.
 *
 * @throws ProblemError `forbidden` where it is somebody else's; `run_gone` where it was here and is kept no longer;
 *   `store_unavailable`; what both throw.
 */
export async function withRun<Answer>(
  runId: string,
  asker: Asker,
  { runs }: Pick<Deps, 'runs'>,
  { own, other }: WithRun<Answer>,
): Promise<Answer> {
  let unsure: UnsureRunError | undefined
  const run = await runs.find(runId).catch((error: unknown) => {
    if (!(error instanceof UnsureRunError)) return orNone(error)
    unsure = error
    return undefined
  })
  if (run !== undefined) {
    checkOwner(asker, run.userId)
    return own(run)
  }
  try {
    return await other()
  } catch (error) {
    throw unsure !== undefined && isNotFound(error) ? unsure : error
  }
}

export interface WithRun<Answer> {
  readonly own: (run: KnownRun) => Answer | Promise<Answer>
  readonly other: () => Promise<Answer>
}

/**
 * The run of an id, for who may read it: one of this gateway, or a worker's.
 *
 * @throws ProblemError `forbidden`, `run_not_found`, `run_gone`, `upstream_unavailable`.
 */
export async function findRun(runId: string, asker: Asker, deps: Deps): Promise<ReadableRun> {
  return withRun<ReadableRun>(runId, asker, deps, {
    own: async (run) => ({ kind: 'own', runId, log: await run.openLog(), run }),
    other: async () => {
      const mirror = await deps.mirrors.find(runId, asker)
      return { kind: 'mirrored', runId, log: mirror.log, mirror }
    },
  })
}

/**
 * Answers with the stream of a run that is found, whoever owns it. Who comes back with a cursor while it cannot be
 * read now, or while this gateway stops, is told to come again, within a stream.
 */
export async function replyWithRun(
  reply: FastifyReply,
  find: () => Promise<ReadableRun>,
  query: StreamQuery,
  naming: Naming,
  deps: Deps,
): Promise<FastifyReply> {
  try {
    refuseWhileDraining(deps)
    await deps.runReplies.admit(reply, async (slot) =>
      open(reply, await find(), { query, naming, slot }, deps),
    )
  } catch (error) {
    refuseStream(reply, error, query)
  }
  return reply
}

/** A route that answers who comes back while the gateway drains must do so itself. @throws ProblemError `draining`. */
function refuseWhileDraining({ drain }: Deps): void {
  if (drain.state === 'serving') return
  throw new ProblemError('draining', 'This gateway is about to stop; try again in a moment.', {
    retryAfterS: DRAIN_RETRY_AFTER_S,
  })
}

/** Answers with the stream of a run. One of a worker's is there once its mirror has come as far as the reader. */
async function open(
  reply: FastifyReply,
  run: ReadableRun,
  options: RunStreamOptions,
  { runReplies, ownRuns }: Deps,
): Promise<LogStream | undefined> {
  const { runId: id, log } = run
  const openLog = async () => {
    if (run.kind === 'own') return log
    const presented = replyCursor(reply, options.query)
    await (presented?.cursor.kind === 'event' ? run.mirror.reach(presented.cursor.n) : run.mirror.ready())
    return log
  }
  const hold = () => (run.kind === 'own' ? run.run.hold() : run.mirror.hold())
  const stream = await runReplies.stream(reply, { id, hold, openLog }, options)
  if (stream === undefined) return undefined
  if (run.kind === 'own') ownRuns.attach(run.run, run.log, stream)
  else run.mirror.attach(stream)
  return stream
}

/**
 * Answers a POST with the stream of the run that it starts; with 202 and where to read it, where JSON is asked for. A
 * cursor that is none is refused before that.
 */
export async function replyWithNewRun(
  reply: FastifyReply,
  query: StreamQuery,
  start: () => Promise<StartedRun>,
  deps: Deps,
): Promise<FastifyReply> {
  replyCursor(reply, query)
  if (prefersJson(reply)) return replyAccepted(reply, acceptedOf(await start()))
  await deps.runReplies.admit(reply, async (slot) => openStarted(reply, await start(), { query, slot }, deps))
  return reply
}

/** Answers a GET that starts a run, or goes on with the one that its cursor names. */
export async function replyWithStartedRun(
  reply: FastifyReply,
  query: StreamQuery,
  start: () => Promise<StartedRun>,
  deps: Deps,
): Promise<FastifyReply> {
  const resume = async (runId: string): Promise<StartedRun | undefined> => {
    const run = await findRun(runId, principalOf(reply.request), deps).catch(orNone)
    return run === undefined ? undefined : { run, status: 'running', replayed: false }
  }
  try {
    refuseWhileDraining(deps)
    const find = () => startOrResume(reply, query, { start, find: resume })
    if (prefersJson(reply)) {
      const started = await find()
      return started === undefined ? reply : replyAccepted(reply, acceptedOf(started))
    }
    await deps.runReplies.admit(reply, async (slot) => {
      const started = await find()
      return started && openStarted(reply, started, { query, slot }, deps)
    })
  } catch (error) {
    refuseStream(reply, error, query)
  }
  return reply
}

function openStarted(
  reply: FastifyReply,
  { run, replayed }: StartedRun,
  options: Omit<RunStreamOptions, 'naming'>,
  deps: Deps,
): Promise<LogStream | undefined> {
  if (replayed) reply.header('idempotent-replayed', 'true')
  return open(reply, run, { ...options, naming: 'emitter' }, deps)
}

function acceptedOf({ run: { runId }, status, replayed }: StartedRun) {
  return { runId, status, replayed }
}

function orNone(error: unknown): undefined {
  if (isNotFound(error)) return undefined
  throw error
}

function isNotFound(error: unknown): boolean {
  return error instanceof ProblemError && error.code === 'run_not_found'
}
