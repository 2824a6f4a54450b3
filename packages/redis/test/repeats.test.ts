import { RedisConnections, RedisUnavailableError } from '@tributary/redis'
import { type RedisServer, startRedis, startRedisCluster, TcpProxy, until } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { Cluster, Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { proxied } from './proxied-cluster.ts'
import { openProxied } from './proxied-redis.ts'

/** Adds one, and loses the connection when the server has done it and its answer is under way. */
async function loseAnswer<T>(proxies: readonly TcpProxy[], add: () => Promise<T>): Promise<T> {
  for (const proxy of proxies) proxy.loseAnswers()
  const answered = Promise.race(proxies.map((proxy) => proxy.nextAnswer()))
  const added = add()
  added.catch(() => undefined)
  await answered
  for (const proxy of proxies) proxy.restore()
  return await added
}

const numberAt = async (server: RedisServer, key: string) => Number(await server.run('GET', key))

describeWithRedisServers('a command whose answer is lost', () => {
  test('is not sent again by us, and who sent it is told that it may have been done', async () => {
    await using all = await openProxied()
    const { server, proxy, redis } = all
    const error = await loseAnswer([proxy], () => redis.call((client) => client.incr('n'))).catch(
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(RedisUnavailableError)
    expect(error).toMatchObject({ isUnsent: false })
    // The connection is back, and has sent what it was going to send.
    await redis.call((client) => client.ping(), { again: true })
    expect(await numberAt(server, 'n')).toBe(1)
  })

  test('is sent again by ioredis left to itself', async () => {
    await using server = await startRedis()
    await using proxy = await TcpProxy.start(server.port)
    const client = new Redis({ port: proxy.port, host: '127.0.0.1' })
    client.on('error', () => undefined)
    await client.ping()
    expect(await loseAnswer([proxy], () => client.incr('n'))).toBe(2)
    client.disconnect()
  })

  test('is not sent again by us to a Cluster', async () => {
    await using cluster = await startRedisCluster()
    await using all = await proxied(cluster)
    await using redis = await RedisConnections.open({ url: all.url })
    const owner = await cluster.ownerOf('n')
    const error = await loseAnswer(all.proxies, () => redis.call((client) => client.incr('n'))).catch(
      (thrown: unknown) => thrown,
    )
    expect(error).toMatchObject({ isUnsent: false, code: 'store_unavailable' })
    expect(await redis.call((client) => client.get('n'), { again: true })).toBe('1')
    expect(await numberAt(owner, 'n')).toBe(1)
  })

  test('is sent again by ioredis left to itself, with a Cluster', async () => {
    await using cluster = await startRedisCluster()
    await using all = await proxied(cluster)
    const client = new Cluster([{ host: '127.0.0.1', port: all.proxies[0]?.port ?? 0 }])
    client.on('error', () => undefined)
    await client.get('n')
    expect(await loseAnswer(all.proxies, () => client.incr('n'))).toBe(2)
    client.disconnect()
  })
})

describeWithRedisServers('a command while there is no connection', () => {
  test('fails at once with us, and is not done later', async () => {
    await using all = await openProxied()
    const { server, proxy, redis } = all
    proxy.refuse()
    await until('the loss', async () => (redis.status.state === 'down' ? true : undefined))
    const error = await redis.call((client) => client.incr('n')).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ isUnsent: true })
    proxy.restore()
    await redis.call((client) => client.ping(), { again: true })
    expect(await server.run('GET', 'n')).toBe(null)
  })

  test('is done later by ioredis left to itself', async () => {
    await using server = await startRedis()
    await using proxy = await TcpProxy.start(server.port)
    const client = new Redis({ port: proxy.port, host: '127.0.0.1' })
    client.on('error', () => undefined)
    await client.ping()
    proxy.refuse()
    await until('the loss', async () => (client.status === 'ready' ? undefined : true))
    const added = client.incr('n')
    proxy.restore()
    expect(await added).toBe(1)
    client.disconnect()
  })
})
