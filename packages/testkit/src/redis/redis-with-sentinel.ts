import { randomBytes } from 'node:crypto'
import { lastingPort } from '../lasting-port.ts'
import { RedisServer, type RedisServerOptions } from './redis-server.ts'
import { until } from './until.ts'

const MASTER_NAME = 'tributary'
const SENTINELS = 3
const QUORUM = 2
/** How long a master is silent before it counts as gone. */
const DOWN_AFTER_MS = 500
/** How long a failover may take, and twice that until the next one may begin. */
const FAILOVER_LIMIT_MS = 1_500
/**
 * How often a Sentinel asks; its own periods are made for machines that are far apart. And a clock that jumps, as that of
 * a busy machine seems to, makes it do nothing for half a minute.
 */
const TIMES = {
  'info-period': 300,
  // Of a replica whose state is older than five of these none is made the master, and it is asked for once a second then.
  'ping-period': 400,
  'ask-period': 100,
  'publish-period': 300,
  'tilt-trigger': 10_000,
  'tilt-period': 1_000,
}

/** A master, a replica, and three Sentinels that make the one the other. */
export class RedisWithSentinel implements AsyncDisposable {
  /** `redis+sentinel://host:port,host:port,host:port/<master name>` */
  readonly url: string
  readonly masterName = MASTER_NAME
  /** The master at first, then its replica; which of them is the master changes. */
  readonly servers: readonly RedisServer[]
  readonly sentinels: readonly RedisServer[]

  private constructor(servers: readonly RedisServer[], sentinels: readonly RedisServer[]) {
    this.servers = servers
    this.sentinels = sentinels
    this.url = `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${MASTER_NAME}`
  }

  /** Resolves once the replica follows and every Sentinel knows all. */
  static async start(options: RedisServerOptions = {}): Promise<RedisWithSentinel> {
    await using started = new AsyncDisposableStack()
    const own = ['repl-diskless-sync yes', 'repl-diskless-sync-delay 0', 'repl-timeout 5']
    const lines = [...own, ...(options.lines ?? [])]
    const master = started.use(await RedisServer.start({ ...options, lines }))
    const replica = started.use(
      await RedisServer.start({ ...options, lines: [...lines, `replicaof 127.0.0.1 ${master.port}`] }),
    )
    const places = await Promise.all(
      Array.from({ length: SENTINELS }, async () => ({
        port: await lastingPort(),
        id: randomBytes(20).toString('hex'),
      })),
    )
    const sentinels: RedisServer[] = []
    for (const place of places) {
      const others = places.filter((other) => other !== place)
      const configuration = sentinelLines(place.id, master, replica, others)
      sentinels.push(
        started.use(await RedisServer.start({ port: place.port, sentinel: true, lines: configuration })),
      )
    }
    const all = new RedisWithSentinel([master, replica], sentinels)
    await all.#settled()
    started.move()
    return all
  }

  /** The master as the Sentinels have it. */
  async master(): Promise<RedisServer> {
    for (const sentinel of this.sentinels) {
      const answer = await sentinel.run('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER_NAME).catch(() => null)
      const port = Array.isArray(answer) ? Number(answer[1]) : 0
      const server = this.servers.find((candidate) => candidate.port === port)
      if (server !== undefined) return server
    }
    throw new Error('no Sentinel knows a master')
  }

  /** A failover without a fault: the replica is made the master, the master its replica. Resolves once it is. */
  async failover(): Promise<void> {
    const before = await this.master()
    await this.sentinels[0]?.run('SENTINEL', 'FAILOVER', MASTER_NAME)
    await this.failedOver(before)
  }

  /** Resolves once another than `before` is the master, and takes writes. */
  async failedOver(before: RedisServer): Promise<RedisServer> {
    return until('a failover', async () => {
      const now = await this.master()
      return now !== before && (await roleOf(now)) === 'master' ? now : undefined
    })
  }

  /** Failovers that there were so far, whoever was the cause: on a machine that is too busy the Sentinels are. */
  async failovers(): Promise<number> {
    const epochs = this.sentinels.map(async (sentinel) => {
      const state = asList(await sentinel.run('SENTINEL', 'MASTER', MASTER_NAME).catch(() => null))
      return Number(state[state.indexOf('config-epoch') + 1])
    })
    return Math.max(0, ...(await Promise.all(epochs)).filter(Number.isInteger))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.sentinels, ...this.servers].map((server) => server[Symbol.asyncDispose]()))
  }

  async #settled(): Promise<void> {
    const times = Object.entries(TIMES).flat()
    await Promise.all(this.sentinels.map((sentinel) => sentinel.run('SENTINEL', 'DEBUG', ...times)))
    await until('a replica and its Sentinels', async () => {
      for (const sentinel of this.sentinels) {
        await sentinel.run('SENTINEL', 'CKQUORUM', MASTER_NAME)
        // One that a Sentinel has not yet heard of is not made the master.
        const [replica] = asList(await sentinel.run('SENTINEL', 'REPLICAS', MASTER_NAME))
        const state = asList(replica)
        const isGood = state[state.indexOf('flags') + 1] === 'slave'
        if (!isGood || state[state.indexOf('master-link-status') + 1] !== 'ok') return undefined
      }
      return true
    })
  }
}

export function startRedisWithSentinel(options?: RedisServerOptions): Promise<RedisWithSentinel> {
  return RedisWithSentinel.start(options)
}

/** Told of each other at once: to find each other they take seconds. */
function sentinelLines(
  id: string,
  master: RedisServer,
  replica: RedisServer,
  others: readonly { id: string; port: number }[],
): string[] {
  return [
    `sentinel myid ${id}`,
    `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${master.port} ${QUORUM}`,
    `sentinel down-after-milliseconds ${MASTER_NAME} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${MASTER_NAME} ${FAILOVER_LIMIT_MS}`,
    `sentinel parallel-syncs ${MASTER_NAME} 1`,
    `sentinel known-replica ${MASTER_NAME} 127.0.0.1 ${replica.port}`,
    ...others.map((other) => `sentinel known-sentinel ${MASTER_NAME} 127.0.0.1 ${other.port} ${other.id}`),
  ]
}

async function roleOf(server: RedisServer): Promise<unknown> {
  return asList(await server.run('ROLE'))[0]
}

function asList(answer: unknown): readonly unknown[] {
  return Array.isArray(answer) ? answer : []
}
