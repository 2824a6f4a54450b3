import { NodeSink, requestCursor, type StreamHeaders, sseHeaders } from '@tributary/sse'
import type { FastifyInstance, FastifyReply } from 'fastify'
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
     */
    connectToHub(options: ConnectOptions, headers?: StreamHeaders): Promise<void>
  }
}

export interface HubPluginOptions {
  readonly hub: Hub
}

/** Brings a hub into a Fastify app: `app.hub`, and `reply.connectToHub(…)`. Its streams end when the app closes. */
export const hubPlugin = fastifyPlugin(
  async (app: FastifyInstance, { hub }: HubPluginOptions) => {
    app.decorate('hub', hub)
    app.decorateReply('connectToHub', connectToHub)
    // Open streams would keep the server from closing.
    app.addHook('preClose', async () => void hub.closeAll('drain'))
  },
  { name: '@tributary/hub', fastify: '5.x' },
)

async function connectToHub(
  this: FastifyReply,
  options: ConnectOptions,
  headers: StreamHeaders = sseHeaders().build(),
): Promise<void> {
  const { request } = this
  this.headers(headers)
  if (request.method === 'HEAD') return void this.send()
  const query = request.query as { lastEventId?: unknown; since?: unknown }
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined)
  const presented = requestCursor({
    lastEventIdHeader: request.headers['last-event-id'],
    lastEventId: text(query.lastEventId),
    since: text(query.since),
  })
  const cursor = presented === undefined ? {} : { lastEventId: presented.text }
  await this.server.hub.connect({ ...cursor, ...options }, () => {
    this.hijack()
    return new NodeSink(this.raw, this.getHeaders())
  })
}
