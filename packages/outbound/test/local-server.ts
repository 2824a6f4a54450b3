import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server as NetServer,
  type Socket,
} from 'node:net'

export interface LocalServer extends AsyncDisposable {
  readonly port: number
  readonly origin: string
}

/** An HTTP server on loopback, on a port of its own. */
export function serveHttp(listener: RequestListener, host = '127.0.0.1'): Promise<LocalServer> {
  return listen(createServer(listener), host)
}

/** A TCP server on loopback that answers what it is told, byte for byte. */
export function serveTcp(onSocket: (socket: Socket) => void): Promise<LocalServer> {
  return listen(
    createTcpServer((socket) => {
      socket.on('error', () => {})
      onSocket(socket)
    }),
  )
}

/** Starts any server; disposing of it drops its connections. */
export async function listen(server: NetServer | Server, host = '127.0.0.1'): Promise<LocalServer> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A port on loopback where nobody listens. */
export async function closedPort(): Promise<number> {
  await using server = await serveTcp(() => {})
  return server.port
}
