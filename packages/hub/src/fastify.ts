import { ProblemError } from '@tributary/protocol'
import { NodeSink, requestCursor, type StreamHeaders, sseHeaders } from '@tributary/sse'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { ConnectOptions } from './connection.ts'
import type { Hub } from './hub.ts'

declare module 'fastify' {
  interface FastifyInstance {
    hub: Hub
  }
  interface FastifyReply {
    /**
     * Answers the request with a stream of the hub. The cursor is taken from the request where the options
     * name none; headers set on the reply before go out with the stream.
     *
     * @param headers default: the plain headers of a stream.
     * @throws ProblemError as `Hub.connect`, which Fastify answers with its status.
     */
    connectToHub(options: ConnectOptions, headers?: StreamHeaders): Promise<void>
  }
}

export interface HubPluginOptions {
  readonly hub: Hub
}

/** Brings a hub into a Fastify app: `app.hub`, and `reply.connectToHub(…)`. All its streams end when the app closes. */
export const hubPlugin = fastifyPlugin(
  async (app: FastifyInstance, { hub }: HubPluginOptions) => {
    let closing = false
    app.decorate('hub', hub)
    app.decorateReply(
      'connectToHub',
      async function (this: FastifyReply, options: ConnectOptions, headers = sseHeaders().build()) {
        // A stream that is opened now would keep the server from closing as one of before.
        if (closing) throw new ProblemError('draining', 'This server is about to stop', { retryAfterS: 1 })
        await connect(hub, this, options, headers)
      },
    )
    app.addHook('preClose', async () => {
      closing = true
      hub.closeAll('drain')
    })
  },
  { name: '@tributary/hub', fastify: '5.x' },
)

async function connect(
  hub: Hub,
  reply: FastifyReply,
  options: ConnectOptions,
  headers: StreamHeaders,
): Promise<void> {
  if (reply.request.method === 'HEAD') return void reply.headers(headers).send()
  await hub.connect({ ...cursorOf(reply.request), ...options }, () => {
    // Not before: a refusal has headers of its own.
    reply.headers(headers).hijack()
    return new NodeSink(reply.raw, reply.getHeaders())
  })
}

function cursorOf({ headers, query }: FastifyRequest): { lastEventId?: string } {
  const { lastEventId, since } = query as Record<string, unknown>
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined)
  const presented = requestCursor({
    lastEventIdHeader: headers['last-event-id'],
    lastEventId: text(lastEventId),
    since: text(since),
  })
  return presented === undefined ? {} : { lastEventId: presented.text }
}
