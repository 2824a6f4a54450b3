import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** A TCP proxy on loopback that breaks what goes through it, as a bad network does. */
export class CuttingProxy implements AsyncDisposable {
  /** `http://127.0.0.1:<port>`. Its port stays, whatever becomes of its target. */
  readonly url: string
  readonly #server: Server
  readonly #links = new Set<Link>()
  // Counted, since two of them may overlap.
  #refusals = 0
  #stalls = 0

  static async start(targetPort: number): Promise<CuttingProxy> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new CuttingProxy(server, targetPort)
  }

  private constructor(server: Server, targetPort: number) {
    this.#server = server
    const address = server.address()
    if (!isTcpAddress(address)) throw new Error('a TCP server has no port')
    this.url = `http://127.0.0.1:${address.port}`
    server.on('connection', (near) => {
      if (this.#refusals > 0) {
        near.on('error', () => undefined).resetAndDestroy()
        return
      }
      const link = new Link(near, targetPort)
      if (this.#stalls > 0) link.pause()
      this.#links.add(link)
      link.onClose(() => this.#links.delete(link))
    })
  }

  /** Resets all connections, or every one for which `chosen` holds, and answers how many. */
  cut(chosen: () => boolean = () => true): number {
    const links = [...this.#links].filter(chosen)
    for (const link of links) link.reset()
    return links.length
  }

  /** Cuts all connections, and resets each new one for a time. */
  async refuse(ms: number): Promise<void> {
    this.#refusals += 1
    this.cut()
    await delay(ms)
    this.#refusals -= 1
  }

  /** Holds back all bytes, both ways, for a time: nobody is told that anything is wrong. */
  async stall(ms: number): Promise<void> {
    this.#stalls += 1
    for (const link of this.#links) link.pause()
    await delay(ms)
    this.#stalls -= 1
    if (this.#stalls > 0) return
    for (const link of this.#links) link.resume()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.cut()
    await closed
  }
}

function isTcpAddress(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null
}

/** One connection and its way on to the target. What breaks on one side breaks on the other, in the same way. */
class Link {
  readonly #near: Socket
  readonly #far: Socket
  #isPaused = false

  constructor(near: Socket, targetPort: number) {
    const far = connect({ host: '127.0.0.1', port: targetPort, noDelay: true })
    this.#near = near
    this.#far = far
    near.setNoDelay(true)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.pipe(to)
      from.on('error', () => this.reset())
      from.on('close', () => to.destroySoon())
    }
  }

  onClose(listener: () => void): void {
    this.#near.once('close', listener)
  }

  reset(): void {
    this.#near.resetAndDestroy()
    this.#far.resetAndDestroy()
  }

  /** Idempotent, as is `resume`: piped twice, every byte would come twice. */
  pause(): void {
    this.#isPaused = true
    this.#near.unpipe()
    this.#far.unpipe()
    this.#near.pause()
    this.#far.pause()
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#near.pipe(this.#far)
    this.#far.pipe(this.#near)
  }
}
