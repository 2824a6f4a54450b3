import { RedisConnections } from '@tributary/redis'
import { type RedisClusterServers, startRedisCluster } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { RedisEventStore } from '../src/redis/index.ts'
import { durableStoreContract } from './contract.ts'
import { dataOf, event, KEEP_ALL, readAll } from './log-fixture.ts'

const START_LIMIT_MS = 30_000

describeWithRedisServers('the log on a Redis Cluster of three masters', () => {
  let servers: RedisClusterServers
  let connections: RedisConnections
  let prefixes = 0
  beforeAll(async () => {
    servers = await startRedisCluster()
    connections = await RedisConnections.open({ url: servers.url })
  }, START_LIMIT_MS)
  afterAll(async () => {
    await connections?.[Symbol.asyncDispose]()
    await servers?.[Symbol.asyncDispose]()
  })

  durableStoreContract('redis cluster', () => {
    const prefix = `p${prefixes++}`
    return async (clock) => new RedisEventStore({ connections, prefix, clock })
  })

  it('spreads logs over the masters, each in one slot', async () => {
    await using store = new RedisEventStore({ connections, prefix: 'spread' })
    const names = Array.from({ length: 12 }, (_, i) => `namespace-${i}`)
    for (const name of names) {
      const log = await store.open(name, KEEP_ALL)
      await log.follow(['group:a']).ready
      await log.append([event(name, 'group:a', 'user:u')])
      expect(dataOf(await readAll(log))).toEqual([name])
    }
    const sizes = await Promise.all(servers.servers.map((server) => server.run('DBSIZE')))
    for (const size of sizes) expect(Number(size)).toBeGreaterThan(0)
  })
})
