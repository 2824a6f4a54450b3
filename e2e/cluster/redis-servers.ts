import { setTimeout as delay } from 'node:timers/promises'
import {
  type RedisServer,
  type RedisWithSentinel,
  startRedis,
  startRedisWithSentinel,
} from '@tributary/testkit'
import type { RedisPlaces } from './redis-network.ts'

/** On a busy machine Sentinels have named a master for half a minute that was a replica itself. */
const SETTLE_LIMIT_MS = 60_000
const SETTLE_POLL_MS = 50

export interface RedisServersOptions {
  /** A master, its replica and three Sentinels in place of one server. Default: no. */
  readonly sentinel?: boolean
  /** Of the one server. Default: a port that stays free. */
  readonly redisPort?: number
}

/** The Redis of a cluster: one server, or a master with its replica and three Sentinels. */
export class RedisServers implements AsyncDisposable, RedisPlaces {
  readonly #single: RedisServer | undefined
  readonly #withSentinel: RedisWithSentinel | undefined

  private constructor(single: RedisServer | undefined, withSentinel: RedisWithSentinel | undefined) {
    this.#single = single
    this.#withSentinel = withSentinel
  }

  /** What was written is there after a restart. */
  static async start(options: RedisServersOptions = {}): Promise<RedisServers> {
    const { sentinel = false, redisPort: port } = options
    if (sentinel) return new RedisServers(undefined, await startRedisWithSentinel({ persistent: true }))
    const single = await startRedis({ persistent: true, ...(port === undefined ? {} : { port }) })
    return new RedisServers(single, undefined)
  }

  /** For a `REDIS_URL`, without a proxy before them. */
  get url(): string {
    return this.#known.url
  }

  get servers(): readonly RedisServer[] {
    return this.#withSentinel?.servers ?? (this.#single === undefined ? [] : [this.#single])
  }

  get sentinels(): readonly RedisServer[] {
    return this.#withSentinel?.sentinels ?? []
  }

  get masterName(): string | undefined {
    return this.#withSentinel?.masterName
  }

  /** The server that takes writes. */
  async master(): Promise<RedisServer> {
    if (this.#withSentinel !== undefined) return this.#withSentinel.master()
    const [server] = this.servers
    if (server === undefined) throw new Error('there is a server')
    return server
  }

  /** `undefined` where there is one server alone, which nobody takes over from. */
  get withSentinel(): RedisWithSentinel | undefined {
    return this.#withSentinel
  }

  /** Failovers that there were so far, whoever was the cause. */
  async failovers(): Promise<number> {
    return this.#withSentinel === undefined ? 0 : this.#withSentinel.failovers()
  }

  /** Resolves once all servers are up, and agree on who is the master. @throws Error where that takes too long, with why. */
  async settled(): Promise<void> {
    const deadline = performance.now() + SETTLE_LIMIT_MS
    for (;;) {
      const fault = await this.#unsettled().catch(String)
      if (fault === undefined) return
      if (performance.now() > deadline) throw new Error(`Redis does not settle: ${fault}`)
      await delay(SETTLE_POLL_MS)
    }
  }

  /** What they do not agree on. */
  async #unsettled(): Promise<string | undefined> {
    const master = await this.master()
    const roles = await Promise.all(this.servers.map((server) => server.run('ROLE')))
    const areRight = roles.every((role, index) => {
      const [kind, , port, state] = Array.isArray(role) ? role : []
      if (this.servers[index] === master) return kind === 'master'
      return kind === 'slave' && port === master.port && state === 'connected'
    })
    if (!areRight) {
      const said = this.servers.map(({ port }, index) => `${port} ${JSON.stringify(roles[index])}`)
      return `the master is ${master.port}, and the servers say ${said.join(', ')}`
    }
    await Promise.all(
      this.sentinels.map((sentinel) => sentinel.run('SENTINEL', 'CKQUORUM', this.masterName ?? '')),
    )
    return undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#known[Symbol.asyncDispose]()
  }

  get #known(): RedisServer | RedisWithSentinel {
    const known = this.#withSentinel ?? this.#single
    if (known === undefined) throw new Error('there is a Redis')
    return known
  }
}
