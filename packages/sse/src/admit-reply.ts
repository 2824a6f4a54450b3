import type { FastifyReply } from 'fastify'
import type { LogStream } from './log-stream.ts'
import type { StreamSlot } from './stream-admission.ts'
import type { StreamServer } from './stream-server.ts'

export interface AdmitReplyOptions {
  readonly streams: StreamServer
  /** The user whose place it is. Default: nobody's. */
  readonly reader?: string | undefined
}

/**
 * Takes the place of a stream for the request's address before what it reads is looked for or begun, and gives it back
 * where no stream comes of it. A HEAD has no stream, and takes none.
 *
 * @param open hands the place to `replyWithLog`.
 * @throws ProblemError as `StreamServer.admitReader`.
 */
export async function admitReply(
  { request }: FastifyReply,
  { streams, reader }: AdmitReplyOptions,
  open: (slot: StreamSlot | undefined) => Promise<LogStream | undefined>,
): Promise<LogStream | undefined> {
  if (request.method === 'HEAD') return open(undefined)
  const slot = await streams.admitReader(reader, { address: request.ip })
  let stream: LogStream | undefined
  try {
    stream = await open(slot)
  } finally {
    if (stream === undefined) slot.release()
  }
  return stream
}
