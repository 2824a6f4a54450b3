import { RedisConnections } from '@tributary/redis'
import { describeWithRedis } from '@tributary/testkit/vitest'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { RedisConnectionRegistry } from '../src/redis/index.ts'
import { registryKeys } from '../src/redis/redis-keys.ts'
import type { ConnectionEntry, RegisterOptions } from '../src/registry/connection-registry.ts'
import { registryContract } from './registry-contract.ts'

const LIMITS: RegisterOptions['limits'] = {
  maxPerUser: 5,
  maxTotal: 0,
  policy: 'reject',
  duplicate: 'refuse',
}
const RULES = { graceMs: 10_000, announceAll: false }
/** What one connection of a user of its own, in a group, may cost Redis. */
const MAX_BYTES_PER_CONNECTION = 1_024

describeWithRedis('a registry on Redis', (server) => {
  let nodes: readonly [RedisConnections, RedisConnections]
  beforeAll(async () => {
    nodes = [
      await RedisConnections.open({ url: server.url }),
      await RedisConnections.open({ url: server.url }),
    ]
  })
  afterAll(async () => {
    for (const node of nodes) await node[Symbol.asyncDispose]()
  })
  const registryOf = (node: 0 | 1, prefix: string, rules = RULES) =>
    new RedisConnectionRegistry({ redis: nodes[node], prefix, namespace: 'hub', rules })

  registryContract('RedisConnectionRegistry', async (rules) => {
    const prefix = server.prefix()
    return { here: registryOf(0, prefix, rules), there: registryOf(1, prefix, rules) }
  })

  const usedBytes = async () => {
    const info = await nodes[0].call((redis) => redis.info('memory'))
    return Number(/^used_memory:(\d+)/m.exec(info)?.[1])
  }
  const calls = async () => {
    const info = await nodes[0].call((redis) => redis.info('commandstats'))
    const [evalsha, hello] = ['evalsha', 'eval'].map((name) =>
      Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(info)?.[1] ?? 0),
    )
    return (evalsha ?? 0) + (hello ?? 0)
  }
  const entryOf = (i: number): ConnectionEntry => ({
    connectionId: `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`,
    token: `token-${i}`,
    nodeId: '00000000-0000-4000-8000-node00000001',
    userId: `user-${i}`,
    groups: ['everybody'],
  })

  it('tells in time that a user has left also where the clock of Redis was set back', async () => {
    const prefix = server.prefix()
    const registry = registryOf(0, prefix, { graceMs: 0, announceAll: false })
    await registry.register(entryOf(1), { limits: LIMITS })
    await registry.remove([entryOf(1)])
    const { stays, due } = registryKeys(prefix, 'hub')
    // What a server wrote whose clock was an hour ahead.
    await nodes[0].call((redis) =>
      redis.eval(
        `for _, place in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
          redis.call('ZINCRBY', KEYS[1], ARGV[1], place)
          local stay = cmsgpack.unpack(redis.call('HGET', KEYS[2], place))
          if stay.w then stay.w = stay.w + ARGV[1] end
          redis.call('HSET', KEYS[2], place, cmsgpack.pack(stay))
        end`,
        2,
        due,
        stays,
        3_600_000,
      ),
    )
    const userCount = async () => (await registry.members('everybody', { limit: 1 })).userCount
    expect(await userCount()).toBe(1)
    await registry.due()
    expect(await userCount()).toBe(0)
  })

  it('takes one round trip for a connect, bounded memory, and gives all of it back', async () => {
    const prefix = server.prefix()
    const registry = registryOf(0, prefix, { graceMs: 0, announceAll: false })
    const entries = Array.from({ length: 5_000 }, (_, i) => entryOf(i))
    await registry.count()
    const [bytesBefore, callsBefore] = [await usedBytes(), await calls()]
    await Promise.all(entries.map((entry) => registry.register(entry, { limits: LIMITS })))
    // The first ones in a burst find the script unknown, and send it.
    expect((await calls()) - callsBefore).toBeLessThanOrEqual(entries.length * 2)
    const callsWarm = await calls()
    const more = Array.from({ length: 100 }, (_, i) => entryOf(10_000 + i))
    await Promise.all(more.map((entry) => registry.register(entry, { limits: LIMITS })))
    expect((await calls()) - callsWarm).toBe(more.length)
    const perConnection = ((await usedBytes()) - bytesBefore) / (entries.length + more.length)
    expect(perConnection).toBeLessThan(MAX_BYTES_PER_CONNECTION)
    await registry.remove([...entries, ...more])
    for (let due = await registry.due(); due.nextInMs !== undefined; due = await registry.due());
    expect(await nodes[0].call((redis) => redis.keys(`${prefix}*`))).toEqual([])
  })
})
