import { RedisConnections } from '@tributary/redis'
import { describeWithRedis } from '@tributary/testkit/vitest'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { RedisEventStore, type RedisEventStoreOptions } from '../src/redis/index.ts'
import { durableStoreContract } from './contract.ts'
import { KEEP_ALL, type NewPlace } from './log-fixture.ts'

describeWithRedis('the log on a single Redis', (redis) => {
  let connections: RedisConnections
  beforeAll(async () => {
    connections = await RedisConnections.open({ url: redis.url })
  })
  afterAll(() => connections[Symbol.asyncDispose]())

  function newPlace(options: Partial<RedisEventStoreOptions> = {}): NewPlace {
    return () => {
      const prefix = redis.prefix()
      return async (clock) => new RedisEventStore({ connections, prefix, clock, ...options })
    }
  }

  durableStoreContract('redis', newPlace())
  it('knows a log whose name was lost, as in a failover of the server that has the names', async () => {
    const prefix = redis.prefix()
    await using store = new RedisEventStore({ connections, prefix })
    await store.open('log', { ...KEEP_ALL, attributes: { a: '1' } })
    await connections.call((client) => client.zrem(`${prefix}:logs`, 'log'))
    expect(await store.list()).toEqual([])
    expect(await store.find('log')).toMatchObject({ name: 'log', closed: false })
    expect(await store.list()).toMatchObject([{ name: 'log' }])
  })

  // With next to nothing in memory, so that all is read from Redis.
  durableStoreContract('redis, from the server', newPlace({ tailMaxEvents: 1 }))
})
