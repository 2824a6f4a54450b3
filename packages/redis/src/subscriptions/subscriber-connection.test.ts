import { systemClock } from '@tributary/protocol'
import { startRedis, until } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, test } from 'vitest'
import { connectSubscriber } from '../connection-options.ts'
import { parseRedisUrl } from '../redis-target.ts'
import { SubscriberConnection } from './subscriber-connection.ts'

describeWithRedisServers('SubscriberConnection', () => {
  test('finds that the server has lost a subscription in silence', async () => {
    await using server = await startRedis()
    const redis = connectSubscriber({
      target: parseRedisUrl(server.url),
      name: 'test',
      timeoutMs: 1_000,
      random: Math.random,
    })
    const told: string[] = []
    const connection = new SubscriberConnection({
      redis,
      isSharded: true,
      groupOf: () => 0,
      clock: systemClock,
      events: {
        onMessage: (_, message) => told.push(message),
        onActive: (channels) => told.push(`active ${channels}`),
        onLost: (channels) => told.push(`lost ${channels}`),
        onMoved: () => undefined,
        onFault: (reason) => told.push(reason),
      },
    })
    connection.add(['a', 'b'])
    await until('the subscriptions', async () => told[0])
    await connection.verify()
    expect(told).toEqual(['active a,b'])
    // Behind the back of who counts.
    await redis.call('SUNSUBSCRIBE', 'a')
    await until('the subscriptions again', async () => {
      await connection.verify()
      return told[2]
    })
    expect(told).toEqual(['active a,b', 'lost a,b', 'active a,b'])
    connection.close()
  })
})
