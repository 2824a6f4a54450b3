import { pollQuery, type StreamQuery, streamQuery } from '@tributary/protocol'
import { replyWithPoll } from '@tributary/sse/fastify'
import type { FastifyReply } from 'fastify'
import Type, { type Static } from 'typebox'
import type { Deps } from '../deps.ts'
import { ownRun } from './run-stream.ts'

/** What a stream of a run takes, and a page of it. */
export const RunEventsQuery = Type.Object({
  ...streamQuery,
  ...pollQuery,
  after: Type.Optional(
    Type.String({ maxLength: 128, description: 'The cursor of a page: the `cursor` of the one before.' }),
  ),
})
export type RunEventsQuery = Static<typeof RunEventsQuery> & StreamQuery

/**
 * Answers with a page of a run's events. One of a worker's run is asked of the worker, who alone knows what there is
 * at this moment.
 */
export async function replyWithRunPage(
  reply: FastifyReply,
  runId: string,
  query: RunEventsQuery,
  deps: Deps,
): Promise<FastifyReply> {
  const run = ownRun(runId, deps)
  if (run === undefined) {
    const { headers, body } = await deps.remoteRuns.page(runId, {
      query,
      lastEventId: lastEventIdOf(reply),
    })
    return reply.headers(headers).send(body)
  }
  // It counts as a reader while it waits.
  const release = run.hold()
  try {
    const { streams } = deps
    await replyWithPoll(reply, { streams, log: await run.openLog(), runId, query, naming: 'standard' })
  } finally {
    release()
  }
  return reply
}

function lastEventIdOf({ request }: FastifyReply): string | undefined {
  const header = request.headers['last-event-id']
  return Array.isArray(header) ? header[0] : header
}
