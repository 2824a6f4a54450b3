import type { Audience } from '@tributary/protocol'
import { RedisConnections } from '@tributary/redis'
import { type RedisServer, startRedis, startRedisCluster } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it, vi } from 'vitest'
import type { EphemeralEvent } from '../src/index.ts'
import { RedisEventStore, type RedisEventStoreOptions } from '../src/redis/index.ts'
import { telling, toldData } from './ephemeral-contract.ts'
import { event, KEEP_ALL } from './log-fixture.ts'

const LIMIT_MS = 30_000
const BACK_MS = 10_000

/** A node that hears of some topics. */
async function node(url: string, topics?: readonly string[], outage?: RedisEventStoreOptions['outage']) {
  const connections = await RedisConnections.open({ url, timeoutMs: 1_000 })
  const store = new RedisEventStore({
    connections,
    prefix: 'told',
    ...(outage === undefined ? {} : { outage }),
  })
  const log = await store.open('hub', KEEP_ALL)
  await log.follow(topics).ready
  const heard: EphemeralEvent[] = []
  log.onTold((told) => heard.push(told))
  return {
    log,
    heard,
    isAway: () => vi.waitFor(() => expect(connections.status.state).toBe('down'), BACK_MS),
    async [Symbol.asyncDispose]() {
      await store.close()
      await connections[Symbol.asyncDispose]()
    },
  }
}

/** How often each command was called since the last call. */
async function commandCounts(redis: RedisServer): Promise<Record<string, number>> {
  const info = String(await redis.run('INFO', 'commandstats'))
  await redis.run('CONFIG', 'RESETSTAT')
  const matches = info.matchAll(/cmdstat_([\w|]+):calls=(\d+)/g)
  return Object.fromEntries([...matches].map(([, name = '', calls]) => [name, Number(calls)]))
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i)
const to = (data: unknown, audience: Audience) => ({ ...telling(data), audience })

describeWithRedisServers('what is told, and not stored, among nodes on one Redis', () => {
  it('comes to each node once and in order, however many of its topics the node follows', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis()
    await using a = await node(redis.url, ['group:a', 'user:u'])
    await using b = await node(redis.url, ['group:a', 'user:u', 'connection:c'])
    await using whole = await node(redis.url)
    await using other = await node(redis.url, ['group:b'])
    const audience = { groups: ['a'], users: ['u'], connections: ['c', 'd'], where: { plan: 'pro' } }
    await Promise.all(numbers(200).map((n) => a.log.tell(to(n, audience))))
    expect(toldData(a.heard)).toEqual(numbers(200))
    await b.log.tell(to('end', { all: true, groups: ['a', 'b'] }))
    for (const { heard } of [b, whole]) {
      await vi.waitFor(() => expect(toldData(heard).toSorted()).toEqual([...numbers(200), 'end'].toSorted()))
    }
    // `b` heard its own end when it told it.
    expect(toldData(b.heard).filter((data) => data !== 'end')).toEqual(numbers(200))
    expect(toldData(whole.heard)).toEqual([...numbers(200), 'end'])
    expect(b.heard.find(({ json }) => json === '3')).toEqual(a.heard[3])
    await vi.waitFor(() => expect(toldData(other.heard)).toEqual(['end']))
    expect(toldData(a.heard)).toEqual([...numbers(200), 'end'])
    expect([a.log.head.n, b.log.head.n]).toEqual([0, 0])
  })

  it('is one message for each of its channels, and one alone where there are many', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis()
    await using a = await node(redis.url, ['group:a'])
    await using b = await node(redis.url, ['user:u7', 'connection:c'])
    const sent = async (audience: Audience) => {
      await commandCounts(redis)
      await a.log.tell(to(1, audience))
      const { spublish = 0, publish = 0, evalsha = 0, eval: evals = 0, xadd = 0 } = await commandCounts(redis)
      return [spublish + publish, evalsha + evals, xadd]
    }
    // That of everything is one more.
    expect(await sent({ groups: ['a'] })).toEqual([2, 0, 0])
    expect(await sent({ users: ['u7'], connections: numbers(50).map((n) => `c${n}`) })).toEqual([3, 0, 0])
    expect(await sent({ users: numbers(100).map((n) => `u${n}`) })).toEqual([1, 0, 0])
    expect(await sent({})).toEqual([0, 0, 0])
    await vi.waitFor(() => expect(toldData(b.heard)).toEqual([1, 1]))
  })

  it('keeps its place among what is stored', { timeout: LIMIT_MS }, async () => {
    await using redis = await startRedis()
    await using a = await node(redis.url, ['group:a'])
    await using b = await node(redis.url, ['group:a'])
    const heard: unknown[] = []
    b.log.tail((entry) => heard.push(entry.event.data))
    b.log.onTold(({ json }) => heard.push(JSON.parse(json)))
    for (let n = 0; n < 50; n++) {
      void a.log.append([event(`stored ${n}`, 'group:a')])
      await a.log.tell(telling(`told ${n}`))
      // It has the log compared, while which messages wait.
      if (n % 10 === 0) b.log.follow([`group:more${n}`])
    }
    const expected = numbers(50).flatMap((n) => [`stored ${n}`, `told ${n}`])
    await vi.waitFor(() => expect(heard).toEqual(expected))
  })

  it('is told here alone while Redis is away, and never later', { timeout: LIMIT_MS }, async () => {
    await using redis = await startRedis()
    const outage = { maxEvents: 10, maxBytes: 10_000 }
    await using a = await node(redis.url, ['group:a'], outage)
    await using b = await node(redis.url, ['group:a'], outage)
    await redis.kill()
    await Promise.all([a.isAway(), b.isAway()])
    expect(await a.log.tell(telling('away'))).toMatchObject({ isEverywhere: false })
    expect(toldData(a.heard)).toEqual(['away'])
    const once = { key: 'k', fingerprint: 'f', windowMs: 60_000 }
    expect(await a.log.appendOnce([], once, { bridges: true })).toEqual({ replayed: false, entries: [] })
    expect(await a.log.appendOnce([], once, { bridges: true })).toMatchObject({ replayed: true })
    await redis.restart()
    await vi.waitFor(
      async () => expect(await a.log.tell(telling('back'))).toMatchObject({ isEverywhere: true }),
      BACK_MS,
    )
    // What was said while its subscription was away is not for who hears it now.
    await vi.waitFor(async () => {
      await a.log.tell(telling('back'))
      expect(new Set(toldData(b.heard))).toEqual(new Set(['back']))
    }, BACK_MS)
    await vi.waitFor(
      async () => expect(await b.log.appendOnce([], once)).toMatchObject({ replayed: true }),
      BACK_MS,
    )
  })

  it('is refused while Redis is away, where nothing may wait, and told to nobody', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis()
    await using a = await node(redis.url, ['group:a'])
    await redis.kill()
    await a.isAway()
    await expect(a.log.tell(telling(1))).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(a.heard).toEqual([])
  })

  it('comes over a Redis Cluster, too', { timeout: LIMIT_MS }, async () => {
    await using servers = await startRedisCluster()
    await using a = await node(servers.url, ['group:a'])
    await using b = await node(servers.url, ['group:a', 'user:u'])
    await Promise.all(numbers(100).map((n) => a.log.tell(to(n, { groups: ['a'], users: ['u'] }))))
    await vi.waitFor(() => expect(toldData(b.heard)).toEqual(numbers(100)))
  })
})
