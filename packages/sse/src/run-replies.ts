import type { ReadableLog } from '@tributary/eventlog'
import type { Naming, StreamQuery } from '@tributary/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { admitReply } from './admit-reply.ts'
import type { LogStream } from './log-stream.ts'
import { replyWithLog } from './reply-with-log.ts'
import { type ReplyWithPollOptions, replyWithPoll } from './reply-with-poll.ts'
import type { StreamSlot } from './stream-admission.ts'
import type { StreamCredential } from './stream-credential.ts'
import type { StreamServer } from './stream-server.ts'

export interface RunRepliesOptions {
  readonly streams: StreamServer
  /** How long a stream lasts that asks for no other time, in ms. */
  readonly timeoutMs: number
  /** How long a stream may ask to last, in ms. */
  readonly maxTimeoutMs: number
  /** What a request is asked with: its streams end with that, and take the places of its user. None takes nobody's. */
  readonly credentialOf: (request: FastifyRequest) => StreamCredential | undefined
  /** Told where the log of a run cannot be read. */
  readonly onError: (error: unknown, runId: string) => void
}

/** A run as it is read. */
export interface HeldRun {
  readonly id: string
  /** Notes a reader; the answer takes that back. */
  hold(): () => void
  openLog(): Promise<ReadableLog>
}

export interface RunStreamOptions {
  readonly query: StreamQuery
  readonly naming: Naming
  /** As `admit` gives it. */
  readonly slot: StreamSlot | undefined
}

/** Answers the requests for the logs of a service's runs: who reads them, in whose place, and for how long. */
export class RunReplies {
  readonly #options: RunRepliesOptions

  constructor(options: RunRepliesOptions) {
    this.#options = options
  }

  /** Takes the place of a stream for who asks, as `admitReply`. @param open hands it to `stream`. */
  admit(
    reply: FastifyReply,
    open: (slot: StreamSlot | undefined) => Promise<LogStream | undefined>,
  ): Promise<LogStream | undefined> {
    return admitReply(reply, { streams: this.#options.streams, reader: this.#readerOf(reply) }, open)
  }

  /** Looks whether there is room for a stream that is asked for next. @throws ProblemError as `admit`. */
  async checkRoom(reply: FastifyReply): Promise<void> {
    const { ip: address } = reply.request
    const slot = await this.#options.streams.admitReader(this.#readerOf(reply), { address })
    slot.release()
  }

  /** Answers with the stream of a run, which is held until it ends. @throws ProblemError as `replyWithLog`. */
  async stream(reply: FastifyReply, run: HeldRun, options: RunStreamOptions): Promise<LogStream | undefined> {
    const { streams, timeoutMs, maxTimeoutMs, credentialOf, onError } = this.#options
    const release = run.hold()
    let stream: LogStream | undefined
    try {
      stream = await replyWithLog(reply, {
        ...options,
        streams,
        log: await run.openLog(),
        runId: run.id,
        timeoutMs,
        maxTimeoutMs,
        credential: credentialOf(reply.request),
        onError: (error) => onError(error, run.id),
      })
    } finally {
      if (stream === undefined) release()
    }
    stream?.onEnd(release)
    return stream
  }

  /** Answers with a page of a run's log; while it waits, the run is held. @throws ProblemError as `replyWithPoll`. */
  async page(reply: FastifyReply, run: HeldRun, query: ReplyWithPollOptions['query']): Promise<FastifyReply> {
    const { streams, credentialOf } = this.#options
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

  #readerOf({ request }: FastifyReply): string | undefined {
    return this.#options.credentialOf(request)?.userId
  }
}
