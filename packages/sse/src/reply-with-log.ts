import type { ReadableLog } from '@tributary/eventlog'
import { formatEventId, type Naming, type StreamQuery } from '@tributary/protocol'
import type { FastifyReply } from 'fastify'
import { DEFAULT_FORM } from './entry-frame.ts'
import { type StreamHeaders, sseHeaders } from './header-builder.ts'
import type { LogStream } from './log-stream.ts'
import { NodeSink } from './node-sink.ts'
import { replyCursor } from './reply-cursor.ts'
import type { RequestCursor } from './request-cursor.ts'
import type { StreamSlot } from './stream-admission.ts'
import type { StreamCredential } from './stream-credential.ts'
import type { StreamServer } from './stream-server.ts'
import { acceptsTypes } from './wanted-types.ts'
import { DEFAULT_KEEP_ALIVE_MS, watchPeer } from './watch-peer.ts'

export interface ReplyWithLogOptions {
  readonly streams: StreamServer
  readonly log: ReadableLog
  readonly runId: string
  readonly query: StreamQuery
  readonly naming: Naming
  /** Milliseconds. */
  readonly timeoutMs: number
  readonly maxTimeoutMs: number
  /** Default: the plain headers of a stream. */
  readonly headers?: StreamHeaders
  readonly onError?: (error: unknown) => void
  /** How long its connection may be silent before the peer is asked for. Default 15,000 ms; 0: never. */
  readonly keepAliveMs?: number
  /** What it is asked with: the stream ends with that. Default: nothing, which has no end. */
  readonly credential?: StreamCredential | undefined
  /** The stream's place, as `admitReply` gives it. Default: one is taken for the request's address. */
  readonly slot?: StreamSlot | undefined
}

/**
 * Answers a request with the log of a run, from the reader's cursor or the first event: the stream, or 204
 * where the log has ended and the reader has all of it.
 *
 * @throws ProblemError `invalid_cursor`; as `StreamServer.admit`.
 */
export async function replyWithLog(
  reply: FastifyReply,
  options: ReplyWithLogOptions,
): Promise<LogStream | undefined> {
  const { streams, log, runId, query, naming, headers = sseHeaders().build(), onError } = options
  const { keepAliveMs = DEFAULT_KEEP_ALIVE_MS } = options
  const presented = replyCursor(reply, query)
  reply.header('run-id', runId).header('location', `/api/runs/${runId}`)
  if (presented !== undefined && (presented.isClosed || isPastEnd(log, presented))) {
    reply.code(204).send()
    return undefined
  }
  reply.headers(headers)
  if (reply.request.method === 'HEAD') {
    reply.send()
    return undefined
  }
  const accepts = acceptsTypes(query.events, naming)
  const stream = await streams.serve({
    slot: options.slot ?? streams.admit({ address: reply.request.ip }),
    log,
    sink: (turn) => {
      reply.hijack()
      watchPeer(reply.request.raw, keepAliveMs)
      return new NodeSink(reply.raw, reply.getHeaders(), turn)
    },
    connectionId: globalThis.crypto.randomUUID(),
    runId,
    ...(presented === undefined ? {} : { cursor: presented.cursor, cursorText: presented.text }),
    startAt: 'oldest',
    form: { format: query.format ?? DEFAULT_FORM.format, naming },
    timeoutMs: Math.min(query.timeout ?? options.timeoutMs, options.maxTimeoutMs),
    overflow: 'catch_up',
    follow: true,
    credential: options.credential,
    ...(accepts === undefined ? {} : { accepts }),
    ...(onError === undefined ? {} : { onError }),
  })
  stream.start()
  return stream
}

/**
 * Decides what a GET that starts a run gets: a new one, or, where it comes with a cursor, the run that the
 * cursor names. So an EventSource that reconnects by itself goes on where it was, and starts nothing.
 *
 * Answers the request itself, and `undefined`, where there is nothing to read: to a HEAD, and 204 where the
 * cursor names no run there is.
 */
export async function startOrResume<Run>(
  reply: FastifyReply,
  query: StreamQuery,
  {
    start,
    find,
  }: { start: () => Promise<Run>; find: (runId: string) => Promise<Run | undefined> | Run | undefined },
): Promise<Run | undefined> {
  if (reply.request.method === 'HEAD') {
    reply.headers(sseHeaders().build()).send()
    return undefined
  }
  const presented = replyCursor(reply, query)
  if (presented === undefined) return start()
  // Its next attempt after the end: nothing to look for.
  if (presented.isClosed) {
    reply.code(204).send()
    return undefined
  }
  const runId = presented.cursor.kind === 'event' ? presented.cursor.runId : undefined
  const run = runId === undefined ? undefined : await find(runId)
  if (run === undefined) reply.code(204).send()
  return run
}

/** Whether a reader has the terminal event. Who is further than that is of another log, and is told so. */
function isPastEnd(log: ReadableLog, { cursor }: RequestCursor): boolean {
  if (!log.closed) return false
  return cursor.kind === 'event' ? formatEventId(cursor) === log.idOf(log.head) : cursor.ms >= log.head.ms
}
