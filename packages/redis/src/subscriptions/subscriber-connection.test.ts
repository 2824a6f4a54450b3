import { systemClock } from '@tributary/protocol'
import { type RedisServer, startRedis, until } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, test } from 'vitest'
import { connectSubscriber } from '../connection-options.ts'
import { parseRedisUrl } from '../redis-target.ts'
import { SubscriberConnection } from './subscriber-connection.ts'

/** A connection that subscribes, and all that it told. */
function subscriberOf(server: RedisServer) {
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
  return { redis, told, connection, [Symbol.dispose]: () => connection.close() }
}

describeWithRedisServers('SubscriberConnection', () => {
  test('finds that the server has lost a subscription in silence', async () => {
    await using server = await startRedis()
    using subscriber = subscriberOf(server)
    const { connection, told } = subscriber
    connection.add(['a', 'b'])
    await until('the subscriptions', async () => told[0])
    await connection.verify()
    expect(told).toEqual(['active a,b'])
    // Behind the back of who counts.
    await subscriber.redis.call('SUNSUBSCRIBE', 'a')
    await until('the subscriptions again', async () => {
      await connection.verify()
      return told[2]
    })
    expect(told).toEqual(['active a,b', 'lost a,b', 'active a,b'])
  })

  test('takes an acknowledgement for that of the subscription that it was asked for by', async () => {
    await using server = await startRedis()
    using subscriber = subscriberOf(server)
    const { connection, told } = subscriber
    connection.add(['first'])
    await until('a connection', async () => told[0])
    connection.add(['a'])
    connection.remove(['a'])
    connection.add(['a'])
    connection.add(['last'])
    await until('the last', async () => (told.includes('active last') ? true : undefined))
    // The first one of `a` was answered, too, but ended by then.
    expect(told).toEqual(['active first', 'active a', 'active last'])
  })

  test('comes back when ioredis has given it up', async () => {
    await using server = await startRedis()
    using subscriber = subscriberOf(server)
    const { connection, told, redis } = subscriber
    connection.add(['a'])
    await until('the subscription', async () => told[0])
    redis.disconnect()
    await until('the end', async () => (redis.status === 'end' ? true : undefined))
    await connection.verify()
    await until('the subscription again', async () => told[2])
    expect(told).toEqual(['active a', 'lost a', 'active a'])
  })
})
