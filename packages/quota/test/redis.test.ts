import type { ClusterNode } from '@tributary/cluster'
import { LocalCluster } from '@tributary/cluster'
import { systemClock } from '@tributary/protocol'
import { RedisConnections } from '@tributary/redis'
import { startRedis, startRedisCluster } from '@tributary/testkit'
import { describeWithRedis, describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, onTestFinished, test } from 'vitest'
import { RedisUserQuota } from '../src/redis/index.ts'
import type { QuotaLimits } from '../src/user-quota.ts'
import { holdOf, userQuotaContract } from './user-quota-contract.ts'

/** Which nodes there are, as the test says. */
class Fleet {
  readonly living = new Map<string, NodeOfFleet>()

  join(nodeId: string): NodeOfFleet {
    const node = new NodeOfFleet(this, nodeId)
    this.living.set(nodeId, node)
    return node
  }

  /** Its lease ends. The first that is left is told, if any is to be. */
  async end(nodeId: string, isTold = true): Promise<void> {
    this.living.delete(nodeId)
    const [other] = this.living.values()
    const gone: ClusterNode = { nodeId, service: 'gateway', startedAt: 0, seenAt: 0, info: {} }
    if (isTold) for (const listener of other?.onGone ?? []) await listener(gone)
  }
}

class NodeOfFleet {
  readonly onGone = new Set<(node: ClusterNode) => Promise<void>>()
  readonly onBack = new Set<() => Promise<void>>()
  readonly nodeId: string
  readonly #fleet: Fleet

  constructor(fleet: Fleet, nodeId: string) {
    this.#fleet = fleet
    this.nodeId = nodeId
  }

  async nodes(): Promise<readonly ClusterNode[]> {
    return [...this.#fleet.living.keys()].map((nodeId) => ({
      nodeId,
      service: 'gateway',
      startedAt: 0,
      seenAt: 0,
      info: {},
    }))
  }

  onNodeGone(listener: (node: ClusterNode) => Promise<void>): () => void {
    this.onGone.add(listener)
    return () => this.onGone.delete(listener)
  }

  onRejoined(listener: () => Promise<void>): () => void {
    this.onBack.add(listener)
    return () => this.onBack.delete(listener)
  }
}

async function connect(url: string): Promise<RedisConnections> {
  const redis = await RedisConnections.open({ url })
  onTestFinished(() => redis[Symbol.asyncDispose]())
  return redis
}

/** Opens nodes of a fleet that share a quota. */
function fleetOf(url: string, prefix: string, limits: QuotaLimits) {
  const fleet = new Fleet()
  const open = async (nodeId: string) => {
    const redis = await connect(url)
    const cluster = fleet.join(nodeId)
    const quota = new RedisUserQuota({ redis, prefix, name: 'test', cluster, limits, clock: systemClock })
    onTestFinished(() => quota[Symbol.dispose]())
    return { redis, cluster, quota }
  }
  return { fleet, open }
}

const KEY = (prefix: string, user: string) => `${prefix}:quota:test:user:{${user}}`

describeWithRedis('RedisUserQuota', (server) => {
  userQuotaContract(async (limits) => {
    const redis = await connect(server.url)
    const cluster = new LocalCluster({ service: 'gateway' })
    const prefix = server.prefix()
    const quota = new RedisUserQuota({ redis, prefix, name: 'test', cluster, limits, clock: systemClock })
    onTestFinished(() => quota[Symbol.dispose]())
    return quota
  })

  test('counts over all nodes, whichever a user asks', async () => {
    const { open } = fleetOf(server.url, server.prefix(), { maxHolds: 5, maxWeight: 0 })
    const nodes = await Promise.all(['a', 'b', 'c'].map(open))
    const answers = await Promise.all(
      nodes.flatMap(({ quota }, n) => [1, 2, 3, 4].map((m) => quota.take(holdOf('ann', `${n}-${m}`)))),
    )
    expect(answers.filter((answer) => answer === 'taken')).toHaveLength(5)
    expect(nodes.flatMap(({ quota }) => [...quota.held()])).toHaveLength(5)
    const [held] = nodes.flatMap(({ quota }) => [...quota.held()].map(({ id }) => ({ quota, id })))
    held?.quota.release('ann', held.id)
    await expect.poll(() => nodes[1]?.quota.take(holdOf('ann', 'last'))).toBe('taken')
  })

  test('counts what another node’s weighs by now', async () => {
    const { open } = fleetOf(server.url, server.prefix(), { maxHolds: 0, maxWeight: 10 })
    const [a, b] = [await open('a'), await open('b')]
    const run = holdOf('ann', 'run', 10)
    expect(await a.quota.take(run)).toBe('taken')
    expect(await b.quota.take(holdOf('ann', 'other', 3))).toBe('too_heavy')
    run.weighs = 7
    await expect.poll(() => b.quota.take(holdOf('ann', 'other', 3)), { timeout: 5_000 }).toBe('taken')
  })

  test('gives back what a dead node held, and leaves what another has gone on with', async () => {
    const { fleet, open } = fleetOf(server.url, server.prefix(), { maxHolds: 2, maxWeight: 0 })
    const [a, b] = [await open('a'), await open('b')]
    expect([await a.quota.take(holdOf('ann', '1')), await a.quota.take(holdOf('ann', '2'))]).toEqual([
      'taken',
      'taken',
    ])
    b.quota.hold(holdOf('ann', '1'))
    expect(await b.quota.take(holdOf('ann', '3'))).toBe('too_many')
    await fleet.end('a')
    expect(await b.quota.take(holdOf('ann', '3'))).toBe('taken')
    expect(await b.quota.take(holdOf('ann', '4'))).toBe('too_many')
    // The dead one was only frozen: what it lets go of now is not its own any more.
    a.quota.release('ann', '1')
    expect(await b.quota.take(holdOf('ann', '4'))).toBe('too_many')
  })

  test('refuses nobody for what a node held that is gone, and was not cleared away', async () => {
    const { fleet, open } = fleetOf(server.url, server.prefix(), { maxHolds: 1, maxWeight: 0 })
    const [a, b] = [await open('a'), await open('b')]
    expect(await a.quota.take(holdOf('ann', '1'))).toBe('taken')
    await fleet.end('a', false)
    expect(await b.quota.take(holdOf('ann', '2'))).toBe('taken')
  })

  test('tells again what it holds once it is back from being taken for gone', async () => {
    const { fleet, open } = fleetOf(server.url, server.prefix(), { maxHolds: 1, maxWeight: 0 })
    const [a, b] = [await open('a'), await open('b')]
    expect(await a.quota.take(holdOf('ann', '1'))).toBe('taken')
    await fleet.end('a')
    fleet.living.set('a', a.cluster)
    for (const listener of a.cluster.onBack) await listener()
    expect(await b.quota.take(holdOf('ann', '2'))).toBe('too_many')
  })

  test('finds what Redis has lost, has too much or has of nobody, and sets it right', async () => {
    const prefix = server.prefix()
    const { fleet, open } = fleetOf(server.url, prefix, { maxHolds: 5, maxWeight: 0 })
    const [a] = [await open('a'), await open('gone')]
    for (const id of ['1', '2']) await a.quota.take(holdOf('ann', id))
    await a.quota.take(holdOf('bob', '1'))
    expect(await a.quota.faults()).toEqual([])
    await fleet.end('gone', false)
    await a.redis.call((redis) => redis.hdel(KEY(prefix, 'ann'), '1'))
    await a.redis.call((redis) => redis.hset(KEY(prefix, 'ann'), 'x', 'a 0', 'y', 'gone 0'))
    await a.redis.call((redis) => redis.del(KEY(prefix, 'bob')))
    // Which nodes there are was read a moment ago.
    const found = async () => (await a.quota.faults()).map(({ kind, id }) => `${kind} ${id}`).toSorted()
    await expect
      .poll(found, { timeout: 5_000 })
      .toEqual([
        'ghost_in_cluster test ann x',
        'ghost_in_cluster test ann y',
        'missing_in_cluster test ann 1',
        'missing_in_cluster test bob 1',
      ])
    for (const fault of await a.quota.faults()) await fault.correct()
    await expect.poll(found, { timeout: 5_000 }).toEqual([])
  })
})

describeWithRedisServers('RedisUserQuota, when Redis goes away,', () => {
  test('counts what this node holds, says so, and tells it when Redis is back, empty', async () => {
    await using server = await startRedis()
    const { open } = fleetOf(server.url, 'test', { maxHolds: 2, maxWeight: 0 })
    const [a, b] = [await open('a'), await open('b')]
    expect(await a.quota.take(holdOf('ann', '1'))).toBe('taken')
    await server.kill()
    expect(await a.quota.take(holdOf('ann', '2'))).toBe('taken')
    expect(await a.quota.take(holdOf('ann', '3'))).toBe('too_many')
    expect(a.quota.health).toMatchObject({ status: 'degraded' })
    a.quota.release('ann', '1')
    a.quota.hold(holdOf('ann', '4'))
    await server.restart()
    for (const listener of a.cluster.onBack)
      await expect.poll(() => listener().then(() => 'told', String)).toBe('told')
    await expect
      .poll(async () => [await b.quota.take(holdOf('ann', '5')), b.quota.health.status])
      .toEqual(['too_many', 'ok'])
  })

  test('keeps nobody waiting for a Redis that is frozen', async () => {
    await using server = await startRedis()
    const { open } = fleetOf(server.url, 'test', { maxHolds: 20, maxWeight: 0 })
    const { quota } = await open('a')
    expect(await quota.take(holdOf('ann', 'first'))).toBe('taken')
    server.pause()
    const answers = await Promise.all(Array.from({ length: 30 }, (_, n) => quota.take(holdOf('ann', `${n}`))))
    expect(answers.filter((answer) => answer === 'taken')).toHaveLength(19)
    server.resume()
    for (let n = 0; n < 30; n += 1) quota.release('ann', `${n}`)
    await expect
      .poll(async () => (await quota.faults().catch(() => ['away'])).length, { timeout: 10_000 })
      .toBe(0)
  })

  test('keeps each user at his shard of a Cluster', async () => {
    await using servers = await startRedisCluster()
    const { fleet, open } = fleetOf(servers.url, 'test', { maxHolds: 1, maxWeight: 0 })
    const [a, b] = [await open('a'), await open('b')]
    const users = Array.from({ length: 20 }, (_, n) => `user-${n}`)
    for (const user of users) expect(await a.quota.take(holdOf(user, '1'))).toBe('taken')
    for (const user of users) expect(await b.quota.take(holdOf(user, '2'))).toBe('too_many')
    await fleet.end('a')
    for (const user of users) expect(await b.quota.take(holdOf(user, '2'))).toBe('taken')
  })
})
