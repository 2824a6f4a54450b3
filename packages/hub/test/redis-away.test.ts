import { LocalCluster } from '@tributary/cluster'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { RedisConnections } from '@tributary/redis'
import { startRedis, startRedisCluster } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { Hub } from '../src/hub.ts'
import { RedisConnectionRegistry } from '../src/redis/index.ts'
import { MemorySink } from './memory-sink.ts'

const TOLD = { timeout: 10_000 }
const RULES = { graceMs: 0, announceAll: false }

const openRegistry = (redis: RedisConnections) =>
  new RedisConnectionRegistry({ redis, prefix: 'test', namespace: 'hub', rules: RULES })

describeWithRedisServers('a hub whose registry is on Redis', () => {
  it('takes connections while Redis is away, within its own limits, and registers them when it is back', async () => {
    await using server = await startRedis()
    await using redis = await RedisConnections.open({ url: server.url, timeoutMs: 1_000 })
    await using store = new MemoryEventStore()
    const registry = openRegistry(redis)
    await using hub = await Hub.open({
      store,
      registry,
      cluster: new LocalCluster({ service: 'gateway' }),
      maxConnectionsPerUser: 2,
    })
    const connect = async (userId: string) => {
      const sink = new MemorySink()
      await hub.connect({ userId, groups: ['g'] }, () => sink)
      return sink
    }
    const early = await connect('ann')
    await server.kill()
    await connect('ann')
    await expect(connect('ann')).rejects.toMatchObject({ code: 'user_connection_limit' })
    const bob = await connect('bob')
    bob.leave()
    early.leave()
    expect(hub.local.count()).toBe(1)
    await expect(hub.count()).rejects.toMatchObject({ code: 'store_unavailable' })
    await server.restart()
    await expect.poll(() => hub.count().catch(() => 0), TOLD).toBe(1)
    expect(await registry.counts()).toEqual({ total: 1, byUser: { ann: 1 }, byGroup: { g: 1 } })
  })

  it('keeps all of a namespace in one slot of a Redis Cluster', async () => {
    await using servers = await startRedisCluster()
    await using redis = await RedisConnections.open({ url: servers.url })
    const registry = openRegistry(redis)
    const limits = { maxPerUser: 1, maxTotal: 10, policy: 'replace', duplicate: 'replace' } as const
    const entryOf = (connectionId: string) => ({
      connectionId,
      token: connectionId,
      nodeId: 'n',
      userId: 'ann',
      groups: ['g', 'h'],
    })
    await registry.watch(['g'], 60_000)
    expect(await registry.register(entryOf('a'), { limits })).toMatchObject({ ok: true })
    expect(await registry.register(entryOf('b'), { limits })).toMatchObject({
      ok: true,
      displaced: { length: 1 },
    })
    await registry.move(entryOf('b'), { join: ['i'], leave: ['h'] })
    expect((await registry.ofNode('n', { limit: 10 })).entries).toMatchObject([{ groups: ['g', 'i'] }])
    expect(await registry.members('g', { limit: 10 })).toMatchObject({ userCount: 1 })
    await registry.remove([entryOf('b')])
    expect(await registry.counts()).toEqual({ total: 0, byUser: {}, byGroup: {} })
  })
})
