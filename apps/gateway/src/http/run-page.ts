import type { RunEventsQuery } from '@tributary/protocol'
import { principalOf } from '@tributary/service'
import type { FastifyReply } from 'fastify'
import type { Deps } from '../deps.ts'
import { withRun } from './run-stream.ts'

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
  const asker = principalOf(reply.request)
  return withRun(runId, asker, deps, {
    own: (run) => deps.runReplies.page(reply, run, query),
    other: async () => {
      const { headers, body } = await deps.remoteRuns.page(runId, asker, {
        query: withinToken(query, asker.expiresAt, deps),
        lastEventId: lastEventIdOf(reply),
      })
      // It may have been while the worker waited.
      deps.revocations.check(asker)
      return reply.headers(headers).send(body)
    },
  })
}

/** A poll waits no longer than its token counts. */
function withinToken(
  query: RunEventsQuery,
  expiresAt: number | undefined,
  { clock }: Pick<Deps, 'clock'>,
): RunEventsQuery {
  if (query.wait === undefined || expiresAt === undefined) return query
  return { ...query, wait: Math.max(0, Math.min(query.wait, expiresAt - clock.now())) }
}

function lastEventIdOf({ request }: FastifyReply): string | undefined {
  const header = request.headers['last-event-id']
  return Array.isArray(header) ? header[0] : header
}
