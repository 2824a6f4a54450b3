import { systemClock } from '@tributary/protocol'
import { RedisConnections } from '@tributary/redis'
import { startRedis, startRedisCluster } from '@tributary/testkit'
import { describeWithRedis, describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, onTestFinished, test } from 'vitest'
import { Revocations } from '../src/auth/tokens/revocations.ts'
import { RedisRevocationStore } from '../src/redis/redis-revocation-store.ts'

const KEPT_S = 3_600
const clock = systemClock

async function connect(url: string): Promise<RedisConnections> {
  const redis = await RedisConnections.open({ url })
  onTestFinished(() => redis[Symbol.asyncDispose]())
  return redis
}

/** A node that shares what is revoked. @param aheadMs how far its clock is ahead. */
async function openNode(url: string, prefix: string, aheadMs = 0) {
  const redis = await connect(url)
  const own = { ...clock, now: () => clock.now() + aheadMs }
  const store = await RedisRevocationStore.open({ redis, prefix, clock: own, keptS: KEPT_S })
  onTestFinished(() => store[Symbol.dispose]())
  const revocations = new Revocations({ store, clock: own, keptS: KEPT_S })
  const isRevoked = (userId: string) => revocations.isRevoked({ userId })
  return { redis, store, revocations, isRevoked }
}

type Node = Awaited<ReturnType<typeof openNode>>

/** Until a node has read that it is so, which it does by itself. */
const untilKnown = (node: Node, userId: string, is = true) =>
  expect.poll(() => node.isRevoked(userId), { timeout: 10_000 }).toBe(is)

describeWithRedis('RedisRevocationStore', (server) => {
  test('has what one node revokes known to all, also to those that start later', async () => {
    const prefix = server.prefix()
    const [a, b] = [await openNode(server.url, prefix), await openNode(server.url, prefix)]
    const told: string[] = []
    b.store.onChanged((changes) => told.push(...changes.keys()))
    await a.revocations.add({ userId: 'ann' })
    await b.store.refresh()
    expect([b.isRevoked('ann'), b.isRevoked('bob'), told]).toEqual([true, false, ['user:ann']])
    expect((await openNode(server.url, prefix)).isRevoked('ann')).toBe(true)
    expect((await openNode(server.url, server.prefix())).isRevoked('ann')).toBe(false)
  })

  test('has a node that was not told read it by itself', async () => {
    const prefix = server.prefix()
    const [a, b] = [await openNode(server.url, prefix), await openNode(server.url, prefix)]
    await a.revocations.add({ tokenId: 't1' })
    await expect.poll(() => b.revocations.isRevoked({ tokenId: 't1' }), { timeout: 10_000 }).toBe(true)
  })

  test('takes back what a node took back, whichever said it, and whatever their clocks say', async () => {
    const prefix = server.prefix()
    const [ahead, b] = [await openNode(server.url, prefix, 60_000), await openNode(server.url, prefix)]
    await ahead.revocations.add({ userId: 'ann' })
    await b.store.refresh()
    expect(await b.revocations.lift({ userId: 'ann' })).toBe(true)
    await ahead.store.refresh()
    expect([ahead.isRevoked('ann'), b.isRevoked('ann')]).toEqual([false, false])
    const later = await openNode(server.url, prefix)
    expect([later.isRevoked('ann'), later.revocations.list(10)]).toEqual([false, { revocations: [] }])
    await later.revocations.add({ userId: 'ann' })
    await b.store.refresh()
    expect(b.isRevoked('ann')).toBe(true)
  })

  test('says again what Redis has lost, but not what was taken back since', async () => {
    const prefix = server.prefix()
    const [a, b] = [await openNode(server.url, prefix), await openNode(server.url, prefix)]
    for (const userId of ['ann', 'bob']) await a.revocations.add({ userId })
    await b.store.refresh()
    const keys = ['said', 'order', 'number'].map((name) => `${prefix}:{revocations}:${name}`)
    await a.redis.call((redis) => redis.del(...keys))
    // Another goes on, as after a failover that lost the last ones.
    const c = await openNode(server.url, prefix)
    for (const userId of ['carl', 'dora', 'eve']) await c.revocations.add({ userId })
    await a.revocations.lift({ userId: 'bob' })
    await b.store.refresh()
    await c.store.refresh()
    for (const node of [a, b, c]) {
      const known = ['ann', 'bob', 'carl', 'dora', 'eve'].filter((userId) => node.isRevoked(userId))
      expect(known).toEqual(['ann', 'carl', 'dora', 'eve'])
    }
  })

  test('comes to the same where there are very many', async () => {
    const prefix = server.prefix()
    const [a, b] = [await openNode(server.url, prefix), await openNode(server.url, prefix)]
    const now = clock.now()
    const text = JSON.stringify({ revokedAt: now })
    await a.store.save(Object.fromEntries(Array.from({ length: 1_700 }, (_, n) => [`user:u${n}`, text])))
    await b.store.refresh()
    expect([b.store.entries.size, b.isRevoked('u0'), b.isRevoked('u1699')]).toEqual([1_700, true, true])
    expect((await openNode(server.url, prefix)).store.entries.size).toBe(1_700)
  })

  test('forgets what is over, and what is none of ours revokes nobody', async () => {
    const prefix = server.prefix()
    const redis = await connect(server.url)
    const [said, order, number] = ['said', 'order', 'number'].map((name) => `${prefix}:{revocations}:${name}`)
    const old = clock.now() - KEPT_S * 1_000 - 1
    const fresh = clock.now()
    const values = {
      old: `${old} {"revokedAt":${old}}`,
      'user:bad': `${fresh} {nonsense`,
      'user:ann': 'nonsense',
    }
    await redis.call(async (client) => {
      await client.hset(said ?? '', values)
      for (const [at, key] of Object.keys(values).entries()) await client.zadd(order ?? '', at + 1, key)
      await client.set(number ?? '', 3)
    })
    const node = await openNode(server.url, prefix)
    expect([node.isRevoked('bad'), node.isRevoked('ann'), node.isRevoked('bob')]).toEqual([
      false,
      false,
      false,
    ])
    await node.revocations.add({ userId: 'bob' })
    expect(await redis.call((client) => client.hexists(said ?? '', 'old'))).toBe(0)
    expect(node.isRevoked('bob')).toBe(true)
  })
})

describeWithRedisServers('RedisRevocationStore, when Redis goes away,', () => {
  test('keeps what is revoked in force, and shares what was said meanwhile once Redis is back', async () => {
    await using server = await startRedis()
    const [a, b] = [await openNode(server.url, 'test'), await openNode(server.url, 'test')]
    await a.revocations.add({ userId: 'ann' })
    await b.store.refresh()
    await server.kill()
    await expect(a.revocations.add({ userId: 'bob' })).rejects.toMatchObject({ code: 'store_unavailable' })
    expect([a.isRevoked('ann'), a.isRevoked('bob'), b.isRevoked('ann')]).toEqual([true, true, true])
    // Empty: what there was is with the nodes.
    await server.restart()
    await untilKnown(b, 'bob')
    expect((await openNode(server.url, 'test')).isRevoked('ann')).toBe(true)
  })

  test('works on a Cluster', async () => {
    await using servers = await startRedisCluster()
    const [a, b] = [await openNode(servers.url, 'test'), await openNode(servers.url, 'test')]
    await a.revocations.add({ userId: 'ann' })
    await b.store.refresh()
    expect(b.isRevoked('ann')).toBe(true)
  })
})
