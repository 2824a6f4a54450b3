import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'

/** An HTTP server of the local network that nobody may reach: it counts who does. */
export interface Trap extends AsyncDisposable {
  readonly port: number
  readonly connections: number
}

/** Sets one on both loopback addresses, at one port. */
export async function setTrap(): Promise<Trap> {
  let connections = 0
  const onSocket = (socket: Socket) => {
    connections += 1
    socket.on('error', () => undefined).resume()
    socket.end('HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecret')
  }
  const first = await listen(onSocket, '127.0.0.1', 0)
  const port = portOf(first)
  // Where a machine has no IPv6, nothing can be reached by it.
  const second = await listen(onSocket, '::1', port).catch(() => undefined)
  return {
    port,
    get connections() {
      return connections
    },
    async [Symbol.asyncDispose]() {
      for (const server of [first, second]) if (server !== undefined) await once(server.close(), 'close')
    },
  }
}

/** A server of somebody who means harm, which may be called. */
export interface HostileServer extends AsyncDisposable {
  readonly origin: string
  /** The head of each request that came. */
  readonly requests: readonly string[]
  /** A URL that is answered with these bytes, and then by hanging up unless more is to come for ever. */
  answering(bytes: string, options?: { readonly forEver?: string; readonly host?: string }): string
}

/** Starts one at an address of its own, so that it can be allowed alone. */
export async function startHostileServer(port: number, address: string): Promise<HostileServer> {
  const requests: string[] = []
  const sockets = new Set<Socket>()
  const server = await listen(
    (socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
      socket.once('data', (head) => {
        requests.push(head.toString('latin1'))
        const [, encoded = ''] = /^\S+ \/([\w-]*)/.exec(head.toString('latin1')) ?? []
        const [bytes = '', forEver] = decode(encoded)
        if (forEver === undefined) socket.end(bytes, 'latin1')
        else flood(socket, bytes, forEver)
      })
    },
    address,
    port,
  )
  return {
    origin: `http://${address}:${port}`,
    requests,
    answering: (bytes, { forEver, host = address } = {}) =>
      `http://${host}:${port}/${Buffer.from(JSON.stringify([bytes, forEver])).toString('base64url')}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await once(server.close(), 'close')
    },
  }
}

function decode(encoded: string): (string | undefined)[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(encoded, 'base64url').toString())
    return [parts].flat().map((part) => (typeof part === 'string' ? part : undefined))
  } catch {
    return ['HTTP/1.1 404 x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n']
  }
}

/** Sends without end, as fast as it is taken; nothing more where there is nothing to send. */
function flood(socket: Socket, bytes: string, forEver: string): void {
  const more = () => {
    while (forEver !== '' && socket.writable && socket.write(forEver.repeat(100), 'latin1'));
  }
  socket.on('drain', more)
  socket.write(bytes, 'latin1')
  more()
}

async function listen(onSocket: (socket: Socket) => void, host: string, port: number): Promise<Server> {
  const server = createServer(onSocket).listen(port, host)
  await once(server, 'listening')
  return server
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
  return address.port
}
