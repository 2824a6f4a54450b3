/**
 * Two gateways on one Redis beside one gateway alone, and beside two that know nothing of each other: what each delivers
 * of what is published at one of them, how long an event takes to the other, and what all that is to Redis.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { lastingPort, type RedisServer, startRedis } from '@tributary/testkit'
import type { BenchProcess } from './child-process.ts'
import { median, report } from './figures.ts'
import { type Delivered, LoadClient } from './load-client.ts'
import { describePinning } from './pinning.ts'
import { callsPer, type RedisFigures, redisFigures } from './redis-figures.ts'
import { RIVALS, startTrial } from './rivals/rival.ts'
import { startTributary } from './rivals/tributary.ts'

const DEFAULT_ROUNDS = '3'
const DEFAULT_STREAMS = '2000'
const DEFAULT_SECONDS = '3'
const BYTES = 100
const PUBLISHERS = [1, 16] as const
const WARM_UP_S = 1.5
const NODES = 2
/** Of all nodes together, before there are many. */
const FEW_READERS = 100
const IDLE_GROUPS = 100
/** Events a second while the cost of one is counted: so few that nobody is short of time. */
const COUNTED_RATE = 200
/** Of the single node in the same round, by the time that the process really ran. */
const TARGET = 0.8

interface Plan {
  readonly streams: number
  readonly seconds: number
}

interface Measured {
  readonly round: number
  readonly publishers: number
  readonly single: Delivered
  /** Two of them on one core, each with all of the publishers. */
  readonly apart: readonly Delivered[]
  /** The node at which it is published, and the other. */
  readonly here: Delivered
  readonly there: Delivered
}

interface OfRedis {
  readonly round: number
  readonly readers: number
  readonly idleGroups: number
  readonly usedMemoryKb: number
  readonly subscribers: number
  readonly connections: number
  readonly callsPerPublish: Record<string, number>
  readonly cpuUsPerPublish: number
  readonly idleCpuUsPerS: number
}

export async function benchCluster(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      streams: { type: 'string', default: DEFAULT_STREAMS },
      seconds: { type: 'string', default: DEFAULT_SECONDS },
    },
  })
  const rounds = Number(positionals[0] ?? DEFAULT_ROUNDS)
  const plan: Plan = { streams: Number(values.streams), seconds: Number(values.seconds) }
  const delivered: Measured[] = []
  const ofRedis: OfRedis[] = []
  for (let round = 0; round < rounds; round++) {
    const single = await measureApart(plan, 1)
    const apart = await measureApart(plan, NODES)
    const cluster = await measureCluster(plan, round)
    for (const [index, publishers] of PUBLISHERS.entries()) {
      const [alone] = single[index] ?? []
      const pair = cluster.delivered[index]
      if (alone !== undefined && pair !== undefined)
        delivered.push({ round, publishers, single: alone, apart: apart[index] ?? [], ...pair })
    }
    ofRedis.push(...cluster.ofRedis)
  }
  const where = `${rounds} rounds, ${describePinning()}, both gateways on the server's`
  report(
    `cluster: ${NODES} gateways with ${plan.streams} streams each, ${where}`,
    PUBLISHERS.flatMap((count) => rowsOf(delivered, count)),
    {
      bench: 'cluster',
      target: TARGET,
      ...plan,
      delivered,
    },
  )
  report('cluster, what Redis does and holds', redisRows(ofRedis), { bench: 'cluster-redis', ofRedis })
}

/** So many gateways with a log of their own each, all published to at once. Answers, for each number of publishers, what each did. */
async function measureApart(
  { streams, seconds }: Plan,
  gateways: number,
): Promise<readonly (readonly Delivered[])[]> {
  await using owned = new AsyncDisposableStack()
  const clients: LoadClient[] = []
  for (let node = 0; node < gateways; node++) clients.push(owned.use(await startTrial('tributary')).client)
  for (const client of clients) await client.open(streams)
  const publish = (publishers: number, lastsS: number) =>
    Promise.all(clients.map((client) => client.publish({ publishers, bytes: BYTES, seconds: lastsS })))
  await publish(1, WARM_UP_S)
  const results: (readonly Delivered[])[] = []
  for (const publishers of PUBLISHERS) results.push(await publish(publishers, seconds))
  return results
}

/** The gateways of a cluster, each with a client, and their Redis. */
class BenchCluster implements AsyncDisposable {
  readonly redis: RedisServer
  readonly here: LoadClient
  readonly there: LoadClient
  readonly gateways: readonly BenchProcess[]
  readonly #owned: AsyncDisposableStack

  private constructor(
    redis: RedisServer,
    gateways: readonly BenchProcess[],
    clients: readonly LoadClient[],
    owned: AsyncDisposableStack,
  ) {
    const [here, there] = clients
    if (here === undefined || there === undefined) throw new Error('there are two gateways')
    this.redis = redis
    this.gateways = gateways
    this.here = here
    this.there = there
    this.#owned = owned
  }

  static async start(): Promise<BenchCluster> {
    await using owned = new AsyncDisposableStack()
    // As docs/redis.md has it set up.
    const redis = owned.use(await startRedis({ persistent: true, lines: ['appendfsync everysec'] }))
    const gateways: BenchProcess[] = []
    for (let node = 0; node < NODES; node++) {
      const port = await lastingPort()
      const env = { GATEWAY_PORT: String(port), NODE_URL: `http://127.0.0.1:${port}`, REDIS_URL: redis.url }
      gateways.push(owned.use(await startTributary({}, env)))
    }
    const clients = gateways.map((gateway) => owned.use(clientOf(gateway)))
    return new BenchCluster(redis, gateways, clients, owned.move())
  }

  /** Has so many streams, half of them at each. */
  async open(streams: number): Promise<void> {
    await this.here.open(streams / NODES)
    await this.there.open(streams / NODES)
  }

  /** Publishes at one, and waits until both have delivered it. */
  async publish(load: Parameters<LoadClient['publish']>[0]): Promise<{ here: Delivered; there: Delivered }> {
    await this.there.listen()
    const here = await this.here.publish(load)
    return { here, there: await this.there.heard(here.published) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync()
  }
}

function clientOf({ port, pid }: BenchProcess, get: string = RIVALS.tributary.target.get): LoadClient {
  return new LoadClient({ ...RIVALS.tributary.target, get, port, pid })
}

async function measureCluster({ streams, seconds }: Plan, round: number) {
  await using cluster = await BenchCluster.start()
  const ofRedis: OfRedis[] = []
  const count = async (readers: number, idleGroups: number) => {
    const idle = await redisFigures(cluster.redis)
    await delay(seconds * 1_000)
    const before = await redisFigures(cluster.redis)
    const load = { publishers: 4, bytes: BYTES, seconds, rate: COUNTED_RATE }
    const { published } = (await cluster.publish(load)).here
    const after = await redisFigures(cluster.redis)
    ofRedis.push({ round, readers, idleGroups, ...costOf(published, idle, before, after) })
  }
  await cluster.open(FEW_READERS)
  await cluster.publish({ publishers: 1, bytes: BYTES, seconds: WARM_UP_S })
  await count(FEW_READERS, 0)
  await cluster.open(NODES * streams)
  await cluster.publish({ publishers: 1, bytes: BYTES, seconds: WARM_UP_S })
  const delivered: { here: Delivered; there: Delivered }[] = []
  for (const publishers of PUBLISHERS)
    delivered.push(await cluster.publish({ publishers, bytes: BYTES, seconds }))
  await count(NODES * streams, 0)
  const idlers = cluster.gateways.map((gateway) =>
    clientOf(gateway, '/api/sse/managed/connect/group/idle-%d?userId=idler'),
  )
  try {
    for (const idler of idlers) await idler.open(IDLE_GROUPS)
    await count(NODES * streams, IDLE_GROUPS)
  } finally {
    for (const idler of idlers) await idler[Symbol.asyncDispose]()
  }
  return { delivered, ofRedis }
}

/** What was done while nothing was published goes on meanwhile, and is no part of it. */
function costOf(published: number, idle: RedisFigures, before: RedisFigures, after: RedisFigures) {
  const share = (after.atMs - before.atMs) / (before.atMs - idle.atMs)
  const cpuS = after.cpuS - before.cpuS - share * (before.cpuS - idle.cpuS)
  const { usedMemoryKb, subscribers, connections } = after
  return {
    usedMemoryKb,
    subscribers,
    connections,
    callsPerPublish: callsPer(published, idle, before, after),
    cpuUsPerPublish: (cpuS * 1e6) / published,
    idleCpuUsPerS: ((before.cpuS - idle.cpuS) * 1e9) / (before.atMs - idle.atMs),
  }
}

const perCpuSecond = ({ delivered, serverCpuS }: Delivered) => delivered / serverCpuS

function rowsOf(results: readonly Measured[], publishers: number) {
  const own = results.filter((result) => result.publishers === publishers)
  const row = (server: string, of: (result: Measured) => readonly Delivered[]) => {
    const figures = own.flatMap(of)
    const middle = (figure: (one: Delivered) => number) => median(figures.map(figure))
    const ratios = own.flatMap((result) =>
      of(result).map((one) => perCpuSecond(one) / perCpuSecond(result.single)),
    )
    return {
      publishers,
      server,
      'deliveries/s': Math.round(middle(({ deliveriesPerS }) => deliveriesPerS)),
      'deliveries/CPU s': Math.round(middle(perCpuSecond)),
      'to the single node, by CPU': median(ratios).toFixed(2),
      'p50 ms': middle(({ p50Ms }) => p50Ms).toFixed(2),
      'p99 ms': middle(({ p99Ms }) => p99Ms).toFixed(2),
      'server busy': middle(({ serverCpuS, seconds }) => serverCpuS / seconds).toFixed(2),
    }
  }
  return [
    row('one gateway alone, SQLite', ({ single }) => [single]),
    row('two apart, SQLite each: either', ({ apart }) => apart),
    row('two on Redis: where it is published', ({ here }) => [here]),
    row('two on Redis: the other', ({ there }) => [there]),
  ]
}

function redisRows(all: readonly OfRedis[]) {
  const kinds = [...new Set(all.map(({ readers, idleGroups }) => `${readers}/${idleGroups}`))]
  return kinds.map((kind) => {
    const own = all.filter(({ readers, idleGroups }) => `${readers}/${idleGroups}` === kind)
    const [first] = own
    return {
      readers: first?.readers ?? 0,
      'idle groups more': first?.idleGroups ?? 0,
      'calls a publish': Object.entries(first?.callsPerPublish ?? {})
        .map(([name, rate]) => `${name} ${rate}`)
        .join(', '),
      'idle CPU µs a second': median(own.map(({ idleCpuUsPerS }) => idleCpuUsPerS)).toFixed(0),
      'CPU µs a publish': median(own.map(({ cpuUsPerPublish }) => cpuUsPerPublish)).toFixed(0),
      'used memory KB': median(own.map(({ usedMemoryKb }) => usedMemoryKb)).toFixed(0),
      subscribers: Math.max(...own.map(({ subscribers }) => subscribers)),
      'other connections': Math.max(...own.map(({ connections }) => connections)),
    }
  })
}
