import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import fastify from 'fastify'
import type { ConnectOptions } from '../src/connection.ts'
import { hubPlugin } from '../src/fastify.ts'
import type { Hub } from '../src/hub.ts'
import type { PollOptions } from '../src/hub-polls.ts'
import { respondWithPage, respondWithStream } from '../src/web.ts'

/** A real server whose `/stream` connects whom its query names. */
export interface HubServer extends AsyncDisposable {
  readonly url: string
  readonly sockets: ReadonlySet<Socket>
  /** As its framework closes: resolves once nothing is open any more. */
  close(): Promise<void>
}

/** Somebody's Fastify app. */
export async function startFastify(hub: Hub): Promise<HubServer> {
  const app = fastify()
  await app.register(hubPlugin, { hub })
  app.addHook('onRequest', async (_request, reply) => void reply.header('x-from', 'a hook'))
  app.get('/stream', async (request, reply) => {
    await reply.connectToHub(connectOptions(new URL(request.url, 'http://localhost').searchParams))
    return reply
  })
  app.get('/poll', async (request, reply) => {
    await reply.pollHub(pollOptions(new URL(request.url, 'http://localhost').searchParams))
    return reply
  })
  const sockets = socketsOf(app.server)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const close = () => app.close()
  return { url, sockets, close, [Symbol.asyncDispose]: close }
}

/** Route handlers of the Web's kind, on Node through Hono's adapter. */
export async function startWeb(hub: Hub): Promise<HubServer> {
  const server = createServer(
    getRequestListener((request) => {
      const { pathname, searchParams } = new URL(request.url)
      return pathname === '/poll'
        ? respondWithPage(hub, request, pollOptions(searchParams))
        : respondWithStream(hub, request, connectOptions(searchParams))
    }),
  )
  const sockets = socketsOf(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      hub.endAll('drain')
      server.closeIdleConnections()
    })
  return { url: `http://127.0.0.1:${port}`, sockets, close, [Symbol.asyncDispose]: close }
}

function socketsOf(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return sockets
}

function connectOptions(query: URLSearchParams): ConnectOptions {
  const user = query.get('user')
  const id = query.get('id')
  const timeout = query.get('timeout')
  return {
    groups: query.getAll('group'),
    ...(user === null ? {} : { userId: user }),
    ...(id === null ? {} : { connectionId: id }),
    ...(timeout === null ? {} : { timeoutMs: Number(timeout) }),
  }
}

function pollOptions(query: URLSearchParams): PollOptions {
  const user = query.get('user')
  const limit = query.get('limit')
  return {
    groups: query.getAll('group'),
    waitMs: Number(query.get('wait') ?? 0),
    ...(limit === null ? {} : { limit: Number(limit) }),
    ...(user === null ? {} : { userId: user }),
  }
}
