import { once } from 'node:events'
import type { Server as HttpServer, RequestListener } from 'node:http'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'

/** A server of this machine, on a free port. Disposing of it drops its connections. */
export interface LocalServer extends AsyncDisposable {
  readonly port: number
  readonly url: string
  /** The connections that are open. */
  readonly sockets: ReadonlySet<Socket>
}

/** An API to call. */
export function serveHttp(listener: RequestListener): Promise<LocalServer> {
  return listen(createHttpServer(listener))
}

/** A server that answers what it is told, byte for byte. */
export function serveTcp(onSocket: (socket: Socket) => void): Promise<LocalServer> {
  return listen(createServer(onSocket))
}

export async function listen(server: Server | HttpServer): Promise<LocalServer> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}`,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await once(server.close(), 'close')
    },
  }
}
