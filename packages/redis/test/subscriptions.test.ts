import { RedisConnections } from '@tributary/redis'
import { type RedisServer, startRedis, TcpProxy, until } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, test } from 'vitest'
import { nextInterruption, openNoticed } from './noticed.ts'

/** Publishes by a connection of its own; answers how many were told. */
const publish = (server: RedisServer, channel: string, message: string) =>
  server.run('SPUBLISH', channel, message)

describeWithRedisServers('subscriptions', () => {
  test('tell each listener of what comes on its channel from its acknowledgement on', async () => {
    await using server = await startRedis()
    await using redis = await RedisConnections.open({ url: server.url })
    expect(redis.publishCommand).toBe('SPUBLISH')
    const heard: string[] = []
    const one = redis.subscriptions.subscribe('a', (message) => heard.push(`one ${message}`))
    const two = redis.subscriptions.subscribe('a', (message) => heard.push(`two ${message}`))
    const other = redis.subscriptions.subscribe('b', (message) => heard.push(`other ${message}`))
    await Promise.all([one.ready, two.ready, other.ready])
    expect(await publish(server, 'a', '1')).toBe(1)
    await publish(server, 'b', '2')
    one.end()
    one.end()
    await publish(server, 'a', '3')
    await until('what was published', async () => heard[3])
    expect(heard).toEqual(['one 1', 'two 1', 'other 2', 'two 3'])
    two.end()
    await until('the end', async () => ((await publish(server, 'a', '4')) === 0 ? true : undefined))
    expect(redis.subscriptions.counts).toEqual({ channels: 1, active: 1 })
  })

  test('use one connection, however many there are', async () => {
    await using server = await startRedis()
    await using redis = await RedisConnections.open({ url: server.url, name: 'node-1' })
    const all = Array.from({ length: 2_000 }, (_, n) =>
      redis.subscriptions.subscribe(`c${n}`, () => undefined),
    )
    await Promise.all(all.map(({ ready }) => ready))
    const clients = String(await server.run('CLIENT', 'LIST')).split('\n')
    expect(clients.filter((line) => line.includes('name=node-1')).length).toBe(2)
    expect(
      clients.some((line) => line.includes('name=node-1-subscriber') && line.includes(' ssub=2000 ')),
    ).toBe(true)
  })

  test.each([
    ['is killed by the server', (server: RedisServer) => server.run('CLIENT', 'KILL', 'TYPE', 'pubsub')],
    ['ends with a restart', (server: RedisServer) => server.restart()],
    ['ends with a crash', (server: RedisServer) => server.kill().then(() => server.restart())],
  ])('are back, and tell that something was missed, when their connection %s', async (_, harm) => {
    await using server = await startRedis()
    await using redis = await RedisConnections.open({ url: server.url })
    const heard: string[] = []
    const subscription = redis.subscriptions.subscribe('a', (message) => heard.push(message))
    await subscription.ready
    const isInterrupted = nextInterruption(redis)
    await harm(server)
    expect(await isInterrupted).toEqual(['a'])
    // Told once it is back, not before: what is published now is heard.
    expect(subscription.isActive).toBe(true)
    expect(await publish(server, 'a', 'after')).toBe(1)
    await until('the message', async () => (heard.includes('after') ? true : undefined))
  })

  test('wait for a server that is away when they begin, and miss nothing then', async () => {
    await using server = await startRedis()
    await using redis = await RedisConnections.open({ url: server.url })
    await server.kill()
    const heard: string[] = []
    const subscription = redis.subscriptions.subscribe('a', (message) => heard.push(message))
    await server.restart()
    await subscription.ready
    await publish(server, 'a', '1')
    await until('the message', async () => heard[0])
  })

  test('are made again when the server was cut off without a word', async () => {
    await using server = await startRedis()
    await using proxy = await TcpProxy.start(server.port)
    const { redis } = await openNoticed({ url: `redis://127.0.0.1:${proxy.port}`, timeoutMs: 300 })
    await using _ = redis
    const subscription = redis.subscriptions.subscribe('a', () => undefined)
    await subscription.ready
    const isInterrupted = nextInterruption(redis)
    proxy.silence()
    await until('the loss', async () => (subscription.isActive ? undefined : true))
    proxy.restore()
    expect(await isInterrupted).toEqual(['a'])
  })

  test('are made again when the server closed them for being read too slowly', async () => {
    const lines = ['client-output-buffer-limit pubsub 100kb 100kb 0']
    await using server = await startRedis({ lines })
    await using redis = await RedisConnections.open({ url: server.url })
    const heard: string[] = []
    await redis.subscriptions.subscribe('a', (message) => heard.push(message)).ready
    const isInterrupted = nextInterruption(redis)
    const flood = `for i = 1, 200 do redis.call('SPUBLISH', 'a', string.rep('x', 10000)) end`
    await server.run('EVAL', flood, 0)
    expect(await isInterrupted).toEqual(['a'])
    expect(heard.length).toBeLessThan(200)
    await publish(server, 'a', 'after')
    await until('the message', async () => (heard.includes('after') ? true : undefined))
  })
})
