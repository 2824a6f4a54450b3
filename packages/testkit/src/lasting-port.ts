import { createServer } from 'node:net'

/** Below the ports that systems give to outgoing connections. */
const FIRST_PORT = 20_000
const LAST_PORT = 30_000

/**
 * A TCP port of loopback that stays free while the service that has it is down. One that the system hands out by itself
 * may be given to somebody else meanwhile; even to whoever tries to reach the service, which would then be connected to
 * itself.
 *
 * @param random from 0 up to, and without, 1. Default: `Math.random`.
 */
export async function lastingPort(random: () => number = Math.random): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(random() * (LAST_PORT - FIRST_PORT + 1))
    if (await isFreePort(port)) return port
  }
}

/** Whether nothing listens on a port of loopback now. */
export function isFreePort(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
