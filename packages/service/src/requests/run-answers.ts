import type { RunAccepted } from '@tributary/protocol'
import type { FastifyReply } from 'fastify'

/** Whether a client asks for JSON and not for a stream. */
export function prefersJson({ request }: FastifyReply): boolean {
  const { accept = '' } = request.headers
  return accept.includes('application/json') && !accept.includes('text/event-stream')
}

/** A run that was started, now or by an earlier request with the same key. */
export interface AcceptedRun extends Pick<RunAccepted, 'runId' | 'status'> {
  readonly replayed: boolean
}

/** Answers 202: the run goes on, and here is where it is read. */
export function replyAccepted(reply: FastifyReply, { runId, status, replayed }: AcceptedRun): FastifyReply {
  if (replayed) reply.header('idempotent-replayed', 'true')
  const location = `/api/runs/${runId}`
  const accepted: RunAccepted = { runId, status, events: `${location}/events` }
  return reply.code(202).headers({ 'run-id': runId, location }).send(accepted)
}
