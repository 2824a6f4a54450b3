import { describeWithRedis } from '@tributary/testkit/vitest'
import { nodesContract } from './nodes-contract.ts'
import { oneNodeContract } from './one-node-contract.ts'
import { openNode } from './redis-fixture.ts'

describeWithRedis('a cluster on Redis', (redis) => {
  oneNodeContract(async (service) => {
    const { cluster, cut } = await openNode(redis.url, redis.prefix(), { service })
    const leave = cluster[Symbol.asyncDispose].bind(cluster)
    return Object.assign(cluster, {
      [Symbol.asyncDispose]: async () => {
        await leave()
        await cut()
      },
    })
  })
  nodesContract(redis)
})
