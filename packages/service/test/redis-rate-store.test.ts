import { systemClock } from '@tributary/protocol'
import { RedisConnections } from '@tributary/redis'
import { startRedis, startRedisCluster } from '@tributary/testkit'
import { describeWithRedis, describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, onTestFinished, test } from 'vitest'
import { RedisRateStore } from '../src/redis/redis-rate-store.ts'
import { counterOf, rateStoreContract } from './rate-store-contract.ts'

/** A node's connections and its store, until the end of the test. */
async function openNode(url: string, prefix: string) {
  const redis = await RedisConnections.open({ url })
  onTestFinished(() => redis[Symbol.asyncDispose]())
  const rates = new RedisRateStore({ redis, prefix, clock: systemClock })
  return { redis, rates, count: counterOf(rates.store) }
}

/** Until Redis counts again: one request in a while finds that out. */
async function untilWell(count: Awaited<ReturnType<typeof openNode>>['count'], rates: RedisRateStore) {
  const health = async () => {
    await count('probe')
    return rates.health.status
  }
  await expect.poll(health, { timeout: 10_000 }).toBe('ok')
}

describeWithRedis('RedisRateStore', (server) => {
  rateStoreContract(async () => {
    const prefix = server.prefix()
    const { redis, rates } = await openNode(server.url, prefix)
    const pass = async (key: string, ms: number) => {
      const name = `${prefix}:rate:{${key}}`
      await redis.call(async (client) => client.pexpire(name, (await client.pttl(name)) - ms))
    }
    return { Store: rates.store, pass }
  })

  test('counts over all nodes, in one round trip', async () => {
    const prefix = server.prefix()
    const nodes = await Promise.all([1, 2, 3].map(() => openNode(server.url, prefix)))
    for (const { count } of nodes) await count('warm-up')
    const calls = async () => {
      const info = await nodes[0]?.redis.call((client) => client.info('commandstats'))
      return Number(/cmdstat_evalsha:calls=(\d+)/.exec(info ?? '')?.[1])
    }
    const before = await calls()
    const counts = await Promise.all(nodes.flatMap(({ count }) => [count('ann'), count('ann')]))
    expect(counts.map(({ current }) => current).toSorted()).toEqual([1, 2, 3, 4, 5, 6])
    expect((await calls()) - before).toBe(6)
  })

  test('gives a count that has no end one', async () => {
    const prefix = server.prefix()
    const { redis, count } = await openNode(server.url, prefix)
    await redis.call((client) => client.set(`${prefix}:rate:{ann}`, 7))
    expect(await count('ann')).toEqual({ current: 8, ttl: 60_000 })
  })

  test('ends a count with its window also where the clock of Redis was set back since', async () => {
    const prefix = server.prefix()
    const { redis, count } = await openNode(server.url, prefix)
    await redis.call((client) => client.set(`${prefix}:rate:{ann}`, 7, 'PX', 3_600_000))
    expect(await count('ann')).toEqual({ current: 8, ttl: 60_000 })
    expect(await redis.call((client) => client.pttl(`${prefix}:rate:{ann}`))).toBeLessThanOrEqual(60_000)
  })
})

describeWithRedisServers('RedisRateStore, when Redis goes away,', () => {
  test('counts on for itself where Redis is gone, says so, and for all once it is back', async () => {
    await using server = await startRedis({ persistent: true })
    const { redis, rates, count } = await openNode(server.url, 'test')
    for (let n = 1; n <= 3; n += 1) expect((await count('ann')).current).toBe(n)
    expect(rates.health).toEqual({ status: 'ok' })
    await server.kill()
    expect((await count('ann')).current).toBe(4)
    expect((await count('bob')).current).toBe(1)
    expect(rates.health).toMatchObject({ status: 'degraded', reason: expect.stringContaining('for itself') })
    const back = new Promise<void>((resolve) => redis.onUp(resolve))
    await server.restart()
    await back
    // The first finds out, wherever it is counted.
    await untilWell(count, rates)
    expect((await count('ann')).current).toBe(4)
  })

  test('keeps nobody waiting for a Redis that is frozen', async () => {
    await using server = await startRedis()
    const { rates, count } = await openNode(server.url, 'test')
    expect((await count('ann')).current).toBe(1)
    server.pause()
    const waited: Promise<unknown>[] = []
    for (let n = 0; n < 50; n += 1) waited.push(count('ann'))
    const counts = await Promise.all(waited)
    expect(counts).toHaveLength(50)
    expect(await count('ann')).toMatchObject({ current: 52 })
    expect(rates.health).toMatchObject({ status: 'degraded' })
    server.resume()
    await untilWell(count, rates)
  })

  test('counts each key at its shard of a Cluster', async () => {
    await using servers = await startRedisCluster()
    const [one, other] = [await openNode(servers.url, 'test'), await openNode(servers.url, 'test')]
    for (let user = 0; user < 30; user += 1) {
      expect((await one.count(`user-${user}`)).current).toBe(1)
      expect((await other.count(`user-${user}`)).current).toBe(2)
    }
    const sizes = await Promise.all(servers.servers.map((server) => server.run('DBSIZE')))
    expect(sizes.every((size) => Number(size) > 0)).toBe(true)
  })
})
