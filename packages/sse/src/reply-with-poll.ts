import {
  DEFAULT_POLL_LIMIT,
  MAX_POLL_WAIT_MS,
  type Naming,
  type PollQuery,
  type StreamQuery,
} from '@tributary/protocol'
import type { FastifyReply } from 'fastify'
import type { PollOptions } from './poll-log.ts'
import type { PollPage } from './poll-page.ts'
import { replyCursor } from './reply-cursor.ts'
import type { StreamServer } from './stream-server.ts'
import { acceptsTypes } from './wanted-types.ts'

export interface ReplyWithPollOptions extends Pick<PollOptions, 'log' | 'credential'> {
  readonly streams: StreamServer
  readonly runId: string
  /** `after` is the cursor, too. */
  readonly query: PollQuery &
    Pick<StreamQuery, 'lastEventId' | 'since' | 'events'> & { readonly after?: string }
  readonly naming: Naming
}

/** Answers a request with a page of a run's log. @throws ProblemError `invalid_cursor`, `overloaded`. */
export async function replyWithPoll(
  reply: FastifyReply,
  { streams, log, credential, runId, query, naming }: ReplyWithPollOptions,
): Promise<void> {
  const { after, lastEventId, since, limit, wait, events } = query
  const presented = replyCursor(reply, { lastEventId: lastEventId ?? after, since })
  const accepts = acceptsTypes(events, naming)
  reply.header('run-id', runId).header('location', `/api/runs/${runId}`)
  await replyWithPage(reply, (signal) =>
    streams.poll({
      log,
      credential,
      cursor: presented?.cursor,
      cursorText: presented?.text,
      startAt: 'oldest',
      limit: limit ?? DEFAULT_POLL_LIMIT,
      waitMs: Math.min(wait ?? 0, MAX_POLL_WAIT_MS),
      signal,
      naming,
      ...(accepts === undefined ? {} : { accepts }),
    }),
  )
}

/**
 * Answers a request with what a poll comes to.
 *
 * @param poll its signal is aborted when the client has gone.
 */
export async function replyWithPage(
  reply: FastifyReply,
  poll: (signal: AbortSignal) => Promise<PollPage>,
): Promise<void> {
  const gone = new AbortController()
  const onClose = () => gone.abort()
  reply.raw.once('close', onClose)
  // Not before: a refusal has headers of its own.
  const headers = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' }
  if (reply.request.method === 'HEAD') return void reply.headers(headers).send()
  const { json } = await poll(gone.signal)
  reply.raw.off('close', onClose)
  reply.headers(headers).send(json)
}
