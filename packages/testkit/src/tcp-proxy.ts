import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** Of what a client has said on a connection, so much is remembered. */
const MAX_SAID_CHARS = 4_096

interface Link {
  readonly near: Socket
  readonly far: Socket
  said: string
}

/** A TCP proxy on loopback that a test breaks what goes through it by. */
export class TcpProxy implements AsyncDisposable {
  readonly port: number
  readonly #server: Server
  readonly #links = new Set<Link>()
  readonly #waiters = new Set<() => void>()
  #targetPort: number
  #isRefusing = false
  // On connections whose client has said such a thing.
  #losesAnswers: RegExp | undefined
  #isSilent = false

  private constructor(server: Server, targetPort: number) {
    this.#server = server
    this.#targetPort = targetPort
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
    this.port = address.port
    server.on('connection', (near) => this.#link(near))
  }

  static async start(targetPort: number): Promise<TcpProxy> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new TcpProxy(server, targetPort)
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#links.size
  }

  /** Resets all connections; new ones are made as before. */
  cut(): void {
    for (const { near, far } of this.#links) {
      near.resetAndDestroy()
      far.resetAndDestroy()
    }
  }

  /** Cuts, and resets each new connection, until `restore`. */
  refuse(): void {
    this.#isRefusing = true
    this.cut()
  }

  /** Resets each new connection, until `restore`; those there are go on. */
  refuseNew(): void {
    this.#isRefusing = true
  }

  /** Passes on what clients send, and keeps what comes back. @param where only for those that have said such a thing. */
  loseAnswers(where = /(?:)/): void {
    this.#losesAnswers = where
  }

  /** Takes all that comes, also new connections, and passes on nothing, either way: half open. */
  silence(): void {
    this.#isSilent = true
  }

  /** All is well from now on; what was kept back is lost, and its connections with it. */
  restore(): void {
    const hasLost = this.#losesAnswers !== undefined || this.#isSilent
    this.#isRefusing = false
    this.#losesAnswers = undefined
    this.#isSilent = false
    if (hasLost) this.cut()
  }

  /** What is connected from now on goes there. */
  retarget(port: number): void {
    this.#targetPort = port
  }

  /** Says this to the target as if its client did, on each connection where that has said such a thing. Answers on how many. */
  say(text: string, where: RegExp): number {
    const links = [...this.#links].filter(({ said }) => where.test(said))
    for (const { far } of links) far.write(text)
    return links.length
  }

  /** Resolves with the next bytes that come back from the target, also lost ones. */
  nextAnswer(): Promise<void> {
    return new Promise((resolve) => this.#waiters.add(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.cut()
    await closed
  }

  #link(near: Socket): void {
    near.on('error', () => undefined)
    if (this.#isRefusing) {
      near.resetAndDestroy()
      return
    }
    const far = connect({ host: '127.0.0.1', port: this.#targetPort, noDelay: true })
    const link: Link = { near, far, said: '' }
    this.#links.add(link)
    far.on('error', () => near.resetAndDestroy())
    near.on('data', (bytes) => {
      if (link.said.length < MAX_SAID_CHARS) link.said += bytes.toString('latin1')
      if (!this.#isSilent) far.write(bytes)
    })
    far.on('data', (bytes) => {
      if (!this.#isSilent && this.#losesAnswers?.test(link.said) !== true) near.write(bytes)
      for (const resolve of this.#waiters) resolve()
      this.#waiters.clear()
    })
    far.on('close', () => near.destroySoon())
    near.on('close', () => {
      this.#links.delete(link)
      far.destroySoon()
    })
  }
}
