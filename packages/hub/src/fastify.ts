import { MAX_POLL_WAIT_MS, ProblemError } from '@tributary/protocol'
import { NodeSink, type StreamHeaders, sseHeaders } from '@tributary/sse'
import {
  cursorQueryOf,
  DEFAULT_KEEP_ALIVE_MS,
  refuseStream,
  replyCursor,
  replyWithPage,
  watchPeer,
} from '@tributary/sse/fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { ConnectOptions } from './connection.ts'
import type { Hub } from './hub.ts'
import type { PollOptions } from './hub-polls.ts'

declare module 'fastify' {
  interface FastifyInstance {
    hub: Hub
  }
  interface FastifyReply {
    /**
     * Answers the request with a stream of the hub. The cursor and the address are taken from the request where the
     * options name none; headers set on the reply before go out with the stream. Who comes back by itself after its stream
     * was ended for good is answered 204; and who comes back with a cursor to a hub that has no room for it now, a
     * stream that tells it to come again.
     *
     * @param headers default: the plain headers of a stream.
     * @throws ProblemError as `Hub.connect`, which Fastify answers with its status.
     */
    connectToHub(options: ConnectOptions, headers?: StreamHeaders): Promise<void>
    /**
     * Answers the request with a page of the hub's log, as JSON. The cursor is taken as that of a stream.
     *
     * @throws ProblemError as `Hub.poll`.
     */
    pollHub(options: PollOptions): Promise<void>
  }
}

export interface HubPluginOptions {
  readonly hub: Hub
  /**
   * How long a stream's connection may be silent before its peer is asked for, so that one that is gone without a word
   * is found. In ms, whole seconds. Default 15,000; 0: never.
   */
  readonly keepAliveMs?: number
}

/** Seconds until who came to a server that is about to stop should try again. */
const CLOSING_RETRY_AFTER_S = 1

/**
 * Brings a hub into a Fastify app: `app.hub`, `reply.connectToHub(…)` and `reply.pollHub(…)`. All its streams end when
 * the app closes.
 */
export const hubPlugin = fastifyPlugin(
  async (app: FastifyInstance, { hub, keepAliveMs = DEFAULT_KEEP_ALIVE_MS }: HubPluginOptions) => {
    let closing = false
    app.decorate('hub', hub)
    app.decorateReply(
      'connectToHub',
      async function (this: FastifyReply, options: ConnectOptions, headers = sseHeaders().build()) {
        try {
          // A stream that is opened now would keep the server from closing as one of before.
          if (closing) throw closingError()
          await connect(hub, this, options, { headers, keepAliveMs })
        } catch (error) {
          const { lastEventId } = options
          refuseStream(
            this,
            error,
            lastEventId === undefined ? cursorQueryOf(this.request) : { lastEventId },
            {
              headers,
            },
          )
        }
      },
    )
    app.decorateReply('pollHub', async function (this: FastifyReply, options: PollOptions) {
      const {
        waitMs = 0,
        lastEventId = replyCursor(this, cursorQueryOf(this.request))?.text,
        ...rest
      } = options
      await replyWithPage(this, (signal) =>
        hub.poll({
          ...rest,
          ...(lastEventId === undefined ? {} : { lastEventId }),
          waitMs: closing ? 0 : Math.min(waitMs, MAX_POLL_WAIT_MS),
          signal,
        }),
      )
    })
    app.addHook('preClose', async () => {
      closing = true
      hub.endAll('drain')
    })
  },
  { name: '@tributary/hub', fastify: '5.x' },
)

/** Resolves when the stream stands. `undefined` where there is none to open: the request is answered. */
function connect(
  hub: Hub,
  reply: FastifyReply,
  options: ConnectOptions,
  { headers, keepAliveMs }: { headers: StreamHeaders; keepAliveMs: number },
): Promise<unknown> | undefined {
  const presented =
    options.lastEventId === undefined ? replyCursor(reply, cursorQueryOf(reply.request)) : undefined
  if (presented?.isClosed || reply.request.method === 'HEAD') {
    if (presented?.isClosed) reply.code(204).send()
    else reply.headers(headers).send()
    return undefined
  }
  return hub.connect(
    {
      address: reply.request.ip,
      ...(presented === undefined ? {} : { lastEventId: presented.text }),
      ...options,
    },
    (turn) => {
      // Not before: a refusal has headers of its own.
      reply.headers(headers).hijack()
      watchPeer(reply.request.raw, keepAliveMs)
      return new NodeSink(reply.raw, reply.getHeaders(), turn)
    },
  )
}

/**
 * The `errorHandler` of a stream's route, for what a plugin refuses before the hub is asked, as a rate limit does. Who
 * comes back with a cursor is told to come again, where that will help; any other error goes on to the app's own.
 */
export function streamErrorHandler(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  refuseStream(reply, error, cursorQueryOf(request))
}

function closingError(): ProblemError {
  return new ProblemError('draining', 'This server is about to stop; try again in a moment.', {
    retryAfterS: CLOSING_RETRY_AFTER_S,
  })
}
