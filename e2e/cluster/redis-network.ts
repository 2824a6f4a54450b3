import { once } from 'node:events'
import { connect } from 'node:net'
import { CuttingProxy } from '../chaos/cutting-proxy.ts'

/** Redis servers as they really are. */
export interface RedisPlaces {
  readonly servers: readonly { readonly port: number }[]
  readonly sentinels: readonly { readonly port: number }[]
  /** `undefined` without Sentinels. */
  readonly masterName: string | undefined
}

/**
 * The network between one node and Redis: a proxy before each server. What Sentinels say of where servers are is changed
 * to where the proxies are, so that all that the node does with Redis goes through here.
 */
export class RedisNetwork implements AsyncDisposable {
  /** For the node's `REDIS_URL`. */
  readonly url: string
  readonly #proxies: readonly CuttingProxy[]

  private constructor(url: string, proxies: readonly CuttingProxy[]) {
    this.url = url
    this.#proxies = proxies
  }

  static async start({ servers, sentinels, masterName }: RedisPlaces): Promise<RedisNetwork> {
    await using started = new AsyncDisposableStack()
    const portOf = new Map<number, number>()
    const rewrite = (bytes: Buffer) => withPorts(bytes, portOf)
    const open = async (port: number, options = {}) => {
      const proxy = started.use(await CuttingProxy.start(port, options))
      portOf.set(port, proxy.port)
      return proxy
    }
    const toServers = await Promise.all(servers.map(({ port }) => open(port)))
    const toSentinels = await Promise.all(sentinels.map(({ port }) => open(port, { rewrite })))
    const places = (masterName === undefined ? toServers : toSentinels).map(({ port }) => `127.0.0.1:${port}`)
    const url =
      masterName === undefined ? `redis://${places[0]}` : `redis+sentinel://${places.join(',')}/${masterName}`
    started.move()
    return new RedisNetwork(url, [...toServers, ...toSentinels])
  }

  /** How many connections the node has to Redis. */
  get linkCount(): number {
    return this.#proxies.reduce((sum, proxy) => sum + proxy.linkCount, 0)
  }

  /** Resets all connections, and answers how many. */
  cut(): number {
    return this.#proxies.reduce((sum, proxy) => sum + proxy.cut(), 0)
  }

  /** Cuts all, and resets each new connection for a time. Answers how many were cut or refused. */
  async refuse(ms: number): Promise<number> {
    const before = this.#refused - this.linkCount
    await Promise.all(this.#proxies.map((proxy) => proxy.refuse(ms)))
    return this.#refused - before
  }

  /** Resolves once a server of Redis has answered through here. */
  async ping(): Promise<void> {
    await pingRedis(this.#proxies[0]?.port ?? 0)
  }

  get #refused(): number {
    return this.#proxies.reduce((sum, proxy) => sum + proxy.refused, 0)
  }

  /** Holds back all bytes for a time, without a word. */
  async stall(ms: number): Promise<void> {
    await Promise.all(this.#proxies.map((proxy) => proxy.stall(ms)))
  }

  /** For a time, takes `delayMs` for each piece, both ways. */
  async slow(ms: number, delayMs: number): Promise<void> {
    await Promise.all(this.#proxies.map((proxy) => proxy.slow(ms, delayMs)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#proxies.map((proxy) => proxy[Symbol.asyncDispose]()))
  }
}

/** Resolves once what listens there has answered as Redis does, however long that takes. @throws where it is cut off. */
export async function pingRedis(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  const closed = Promise.withResolvers<never>()
  // Also one that is killed meanwhile may end its connections in good order.
  socket.once('end', () => closed.reject(new Error('the connection was closed')))
  try {
    socket.write('PING\r\n')
    await Promise.race([once(socket, 'data'), closed.promise])
  } finally {
    socket.destroy()
  }
}

/** Ports of so many digits each, so that what is changed stays as long as its length in front of it says. */
const PORT = /(?<![\w.])\d{5}(?!\w)/g

function withPorts(bytes: Buffer, portOf: ReadonlyMap<number, number>): Buffer {
  return Buffer.from(
    bytes.toString('latin1').replace(PORT, (text) => String(portOf.get(Number(text)) ?? text)),
    'latin1',
  )
}
