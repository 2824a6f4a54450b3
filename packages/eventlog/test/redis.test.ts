import { RedisConnections } from '@tributary/redis'
import { describeWithRedis } from '@tributary/testkit/vitest'
import { afterAll, beforeAll } from 'vitest'
import { RedisEventStore, type RedisEventStoreOptions } from '../src/redis/index.ts'
import { durableStoreContract } from './contract.ts'
import type { NewPlace } from './log-fixture.ts'

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
  // With next to nothing in memory, so that all is read from Redis.
  durableStoreContract('redis, from the server', newPlace({ tailMaxEvents: 1 }))
})
