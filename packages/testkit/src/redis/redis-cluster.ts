import { lastingPort } from '../lasting-port.ts'
import { RedisServer, type RedisServerOptions } from './redis-server.ts'
import { until } from './until.ts'

const MASTERS = 3
const SLOTS = 16_384
/** How long a master is silent before its replica takes over. */
const NODE_TIMEOUT_MS = 1_000

export interface RedisClusterOptions extends RedisServerOptions {
  /** Of each master. Default: 0. */
  readonly replicas?: number
  /** Its `url` is that of TLS; the lines say the certificate. Default: no. */
  readonly hasTls?: boolean
}

/** A Redis Cluster of three masters. */
export class RedisClusterServers implements AsyncDisposable {
  /** `redis+cluster://host:port,host:port,host:port` */
  readonly url: string
  /** The masters at first, then the replicas of the first, the second and the third. */
  readonly servers: readonly RedisServer[]

  private constructor(servers: readonly RedisServer[], tlsPorts: readonly number[]) {
    this.servers = servers
    const plain = servers.slice(0, MASTERS).map(({ port }) => `127.0.0.1:${port}`)
    const tls = tlsPorts.map((port) => `localhost:${port}`)
    this.url = tls.length > 0 ? `rediss+cluster://${tls.join(',')}` : `redis+cluster://${plain.join(',')}`
  }

  /** Resolves once every server says that all is well. */
  static async start(options: RedisClusterOptions = {}): Promise<RedisClusterServers> {
    const { replicas = 0, lines = [], hasTls = false, ...others } = options
    await using started = new AsyncDisposableStack()
    const tlsPorts: number[] = []
    const servers = await Promise.all(
      Array.from({ length: MASTERS * (1 + replicas) }, async () => {
        const own = [
          'cluster-enabled yes',
          `cluster-port ${await lastingPort()}`,
          `cluster-node-timeout ${NODE_TIMEOUT_MS}`,
          'repl-diskless-sync-delay 0',
          // How old a replica's data may be to take over: with so short a timeout it is often older.
          'cluster-replica-validity-factor 0',
        ]
        if (hasTls) {
          const port = await lastingPort()
          tlsPorts.push(port)
          own.push(`tls-port ${port}`, 'tls-cluster yes')
        }
        return started.use(await RedisServer.start({ ...others, lines: [...own, ...lines] }))
      }),
    )
    const all = new RedisClusterServers(servers, tlsPorts)
    await all.#join(replicas)
    started.move()
    return all
  }

  /** The master of a key's slot: of several that believe it, the one of the latest election. */
  async ownerOf(key: string): Promise<RedisServer> {
    const slot = await this.#ask((server) => server.run('CLUSTER', 'KEYSLOT', key))
    let owner: { server: RedisServer; epoch: number } | undefined
    for (const server of this.servers) {
      const nodes = await server.run('CLUSTER', 'NODES').catch(() => '')
      // `id address myself,master - ping pong epoch state 0-99 100`
      const own =
        String(nodes)
          .split('\n')
          .find((line) => line.includes('myself,master'))
          ?.split(' ') ?? []
      const epoch = Number(own[6])
      const hasSlot = own.slice(8).some((range) => {
        const [first, last = first] = range.split('-')
        return Number(slot) >= Number(first) && Number(slot) <= Number(last)
      })
      if (hasSlot && (owner === undefined || epoch > owner.epoch)) owner = { server, epoch }
    }
    if (owner === undefined) throw new Error(`no server has ${key}`)
    return owner.server
  }

  /** Gives the slot of a key, with all that is in it, to another master, while others use it. */
  async moveSlot(key: string): Promise<void> {
    const from = await this.ownerOf(key)
    const to = this.servers.slice(0, MASTERS).find((server) => server !== from)
    if (to === undefined) throw new Error('a cluster has other masters')
    const slot = Number(await from.run('CLUSTER', 'KEYSLOT', key))
    const [fromId, toId] = await Promise.all(
      [from, to].map(async (one) => String(await one.run('CLUSTER', 'MYID'))),
    )
    await to.run('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(fromId))
    await from.run('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(toId))
    for (const name of asList(await from.run('CLUSTER', 'GETKEYSINSLOT', slot, 1_000))) {
      await from.run('MIGRATE', '127.0.0.1', to.port, String(name), 0, 5_000)
    }
    await to.run('CLUSTER', 'SETSLOT', slot, 'NODE', String(toId))
    await from.run('CLUSTER', 'SETSLOT', slot, 'NODE', String(toId))
  }

  async #ask(question: (server: RedisServer) => Promise<unknown>): Promise<unknown> {
    for (const server of this.servers) {
      const answer = await question(server).catch(() => undefined)
      if (answer !== undefined) return answer
    }
    throw new Error('no server answers')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map((server) => server[Symbol.asyncDispose]()))
  }

  async #join(replicas: number): Promise<void> {
    const masters = this.servers.slice(0, MASTERS)
    const [first] = masters
    if (first === undefined) throw new Error('a cluster has servers')
    for (const [index, server] of masters.entries()) {
      const from = Math.ceil((index * SLOTS) / MASTERS)
      const to = Math.ceil(((index + 1) * SLOTS) / MASTERS) - 1
      await server.run('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
      await server.run('CLUSTER', 'ADDSLOTSRANGE', from, to)
    }
    for (const server of this.servers.slice(1)) {
      const [, busPort = ''] = asList(await server.run('CONFIG', 'GET', 'cluster-port'))
      const [, tlsPort = '0'] = asList(await server.run('CONFIG', 'GET', 'tls-port'))
      await first.run('CLUSTER', 'MEET', '127.0.0.1', Number(tlsPort) || server.port, String(busPort))
    }
    await this.#agreed()
    for (const [index, server] of this.servers.slice(MASTERS).entries()) {
      const master = masters[Math.floor(index / replicas)]
      const id = String(await master?.run('CLUSTER', 'MYID'))
      await server.run('CLUSTER', 'REPLICATE', id)
    }
    await until('replicas', async () => {
      const roles = await Promise.all(this.servers.slice(MASTERS).map((server) => server.run('ROLE')))
      return roles.every((role) => asList(role)[3] === 'connected') ? true : undefined
    })
  }

  /** Until every server knows every other, and that all slots are served. */
  async #agreed(): Promise<void> {
    await until('a cluster', async () => {
      const states = await Promise.all(this.servers.map((server) => server.run('CLUSTER', 'INFO')))
      const isWhole = (state: unknown) =>
        String(state).includes('cluster_state:ok') &&
        String(state).includes(`cluster_known_nodes:${this.servers.length}`)
      return states.every(isWhole) ? true : undefined
    })
  }
}

export function startRedisCluster(options?: RedisClusterOptions): Promise<RedisClusterServers> {
  return RedisClusterServers.start(options)
}

function asList(answer: unknown): readonly unknown[] {
  return Array.isArray(answer) ? answer : []
}
