import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { Transform } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

export interface CuttingProxyOptions {
  /** Changes what the target says, a piece at a time. The answer has as many bytes as it was given. */
  readonly rewrite?: (bytes: Buffer) => Buffer
}

/** A TCP proxy on loopback that breaks what goes through it, as a bad network does. */
export class CuttingProxy implements AsyncDisposable {
  /** `http://127.0.0.1:<port>`. Its port stays, whatever becomes of its target. */
  readonly url: string
  readonly #server: Server
  readonly #links = new Set<Link>()
  // Counted, since two of them may overlap.
  #refusals = 0
  #stalls = 0
  #delayMs = 0
  #refused = 0

  static async start(targetPort: number, options: CuttingProxyOptions = {}): Promise<CuttingProxy> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new CuttingProxy(server, targetPort, options)
  }

  private constructor(server: Server, targetPort: number, { rewrite }: CuttingProxyOptions) {
    this.#server = server
    const address = server.address()
    if (!isTcpAddress(address)) throw new Error('a TCP server has no port')
    this.url = `http://127.0.0.1:${address.port}`
    server.on('connection', (near) => {
      if (this.#refusals > 0) {
        this.#refused += 1
        near.on('error', () => undefined).resetAndDestroy()
        return
      }
      const link = new Link(near, targetPort, { delayMs: () => this.#delayMs, rewrite })
      if (this.#stalls > 0) link.pause()
      this.#links.add(link)
      link.onClose(() => this.#links.delete(link))
    })
  }

  get port(): number {
    return Number(new URL(this.url).port)
  }

  /** How many connections go through it now. */
  get linkCount(): number {
    return this.#links.size
  }

  /** How many connections it has refused. */
  get refused(): number {
    return this.#refused
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

  /** For a time, passes each piece on only `delayMs` after the one before it, both ways. */
  async slow(ms: number, delayMs: number): Promise<void> {
    this.#delayMs += delayMs
    await delay(ms)
    this.#delayMs -= delayMs
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

interface Way {
  delayMs(): number
  readonly rewrite?: ((bytes: Buffer) => Buffer) | undefined
}

/** One connection and its way on to the target. What breaks on one side breaks on the other, in the same way. */
class Link {
  readonly #near: Socket
  readonly #far: Socket
  readonly #out: Transform
  readonly #back: Transform
  #isPaused = false

  constructor(near: Socket, targetPort: number, { delayMs, rewrite }: Way) {
    const far = connect({ host: '127.0.0.1', port: targetPort, noDelay: true })
    this.#near = near
    this.#far = far
    this.#out = paced(delayMs)
    this.#back = paced(delayMs, rewrite)
    near.setNoDelay(true)
    for (const [from, way, to] of [
      [near, this.#out, far],
      [far, this.#back, near],
    ] as const) {
      from.pipe(way).pipe(to)
      from.on('error', () => this.reset())
      // What has ended properly ends the other once all is passed on.
      from.on('close', () => from.readableEnded || to.destroySoon())
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
    this.#near.pipe(this.#out)
    this.#far.pipe(this.#back)
  }
}

function paced(delayMs: () => number, rewrite = (bytes: Buffer) => bytes): Transform {
  return new Transform({
    transform(bytes: Buffer, _, done) {
      const ms = delayMs()
      if (ms === 0) done(null, rewrite(bytes))
      else setTimeout(done, ms, null, rewrite(bytes))
    },
  })
}
