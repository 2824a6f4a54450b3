import { type RedisClient, RedisConnections } from '@tributary/redis'
import {
  type RedisServer,
  startRedis,
  startRedisCluster,
  startRedisWithSentinel,
  TcpProxy,
  until,
} from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { openProxied } from './proxied-redis.ts'

/** A read over a blocking connection that waits at the server. */
async function waitingRead(server: RedisServer, redis: RedisConnections) {
  const client = redis.createBlocking('reader')
  const read = client.blpop('list', 0)
  read.catch(() => undefined)
  await until('the read at the server', async () => blockedClients(server))
  return { client, read }
}

const told = (client: RedisClient, status: 'end' | 'reconnecting') =>
  new Promise<void>((resolve) => client.once(status, () => resolve()))

describeWithRedisServers('a blocking read', () => {
  test('goes on after its connection was lost', async () => {
    await using all = await openProxied()
    const { server, proxy, redis } = all
    const { read } = await waitingRead(server, redis)
    proxy.cut()
    await until('the loss', async () => ((await blockedClients(server)) ? undefined : true))
    await until('the read again', async () => blockedClients(server))
    await server.run('RPUSH', 'list', 'element')
    expect(await read).toEqual(['list', 'element'])
  })

  test('would never settle with the resending of ioredis off alone', async () => {
    await using server = await startRedis()
    await using proxy = await TcpProxy.start(server.port)
    const client = new Redis({
      port: proxy.port,
      host: '127.0.0.1',
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: null,
    })
    client.on('error', () => undefined)
    await client.ping()
    let hasSettled = false
    const settle = () => {
      hasSettled = true
    }
    client.blpop('list', 0).then(settle, settle)
    await until('the read at the server', async () => blockedClients(server))
    const isBack = new Promise((resolve) => client.once('ready', resolve))
    proxy.cut()
    await isBack
    await client.ping()
    await server.run('RPUSH', 'list', 'element')
    await client.ping()
    expect(hasSettled).toBe(false)
    client.disconnect()
  })

  test('fails with the connection where it is one of those that are sent once', async () => {
    await using all = await openProxied()
    const { server, proxy, redis } = all
    const read = redis.call((client) => client.blpop('list', 0))
    read.catch(() => undefined)
    await until('the read at the server', async () => blockedClients(server))
    proxy.cut()
    await expect(read).rejects.toMatchObject({ code: 'store_unavailable', isUnsent: false })
  })
})

describeWithRedisServers('a blocking connection that is told to end between two attempts', () => {
  test('does, and what waited for it fails', async () => {
    await using all = await openProxied()
    const { server, proxy, redis } = all
    const { client, read } = await waitingRead(server, redis)
    proxy.refuse()
    const isOver = told(client, 'end')
    await told(client, 'reconnecting')
    client.disconnect()
    await expect(read).rejects.toThrow('Connection is closed')
    await isOver
  })

  test('keeps no worker of BullMQ from closing', async () => {
    await using all = await openProxied()
    const { server, proxy, redis } = all
    const blocking: Redis[] = []
    const connection = redis.createBlocking('worker')
    if (!(connection instanceof Redis)) throw new Error('it is one server')
    const duplicate = connection.duplicate.bind(connection)
    connection.duplicate = (...args) => {
      const another = duplicate(...args)
      blocking.push(another)
      return another
    }
    const worker = new Worker('runs', async () => undefined, { connection, prefix: 'tributary:{queue}' })
    worker.on('error', () => undefined)
    await worker.waitUntilReady()
    await until('the read at the server', async () => blockedClients(server))
    proxy.refuse()
    await Promise.all(blocking.map((client) => told(client, 'reconnecting')))
    proxy.restore()
    await worker.close()
    expect(blocking.map(({ status }) => status)).toEqual(['end'])
  })
})

async function blockedClients(server: { run(...command: [string, string]): Promise<unknown> }) {
  const count = Number(/blocked_clients:(\d+)/.exec(String(await server.run('INFO', 'clients')))?.[1])
  return count > 0 ? count : undefined
}

/** A queue and its worker, which tells what it has done. */
async function queueOn(redis: RedisConnections) {
  const connection = redis.createBlocking('queue')
  const done: string[] = []
  const options = { connection, prefix: 'tributary:{queue}' }
  const queue = new Queue('runs', options)
  const worker = new Worker('runs', async ({ data }) => done.push(data), {
    ...options,
    connection: redis.createBlocking('worker'),
  })
  queue.on('error', () => undefined)
  worker.on('error', () => undefined)
  onTestFinished(async () => {
    await worker.close(true)
    await queue.close()
  })
  await worker.waitUntilReady()
  return { queue, done, worker }
}

describeWithRedisServers('BullMQ, over ioredis 6,', () => {
  test.each([
    ['a restart', (server: RedisServer) => server.restart()],
    ['a crash', (server: RedisServer) => server.kill().then(() => server.restart())],
    ['a kill of all connections', killAll],
  ])('takes jobs before and after %s', { timeout: 40_000 }, async (_, harm) => {
    await using server = await startRedis({ persistent: true })
    await using redis = await RedisConnections.open({ url: server.url })
    const { queue, done } = await queueOn(redis)
    await queue.add('run', 'one')
    await until('the first job', async () => (done.includes('one') ? true : undefined))
    await harm(server)
    await queue.add('run', 'two')
    await until('the second job', async () => (done.includes('two') ? true : undefined))
    // What was done, but not yet said to be, may be done again.
    expect([...new Set(done)]).toEqual(['one', 'two'])
  })

  test.each([
    ['killed', (master: RedisServer) => master.kill()],
    ['frozen', async (master: RedisServer) => master.pause()],
  ])('takes jobs from the new master when the old one is %s', { timeout: 60_000 }, async (_, harm) => {
    await using all = await startRedisWithSentinel()
    await using redis = await RedisConnections.open({ url: all.url, timeoutMs: 2_000 })
    const { queue, done } = await queueOn(redis)
    await queue.add('run', 'one')
    await until('the first job', async () => (done.includes('one') ? true : undefined))
    const master = await all.master()
    await harm(master)
    await all.failedOver(master)
    await queue.add('run', 'two')
    await until('the second job', async () => (done.includes('two') ? true : undefined))
  })

  test('takes jobs from a Cluster', { timeout: 40_000 }, async () => {
    await using cluster = await startRedisCluster()
    await using redis = await RedisConnections.open({ url: cluster.url })
    const { queue, done } = await queueOn(redis)
    await queue.addBulk(['a', 'b', 'c'].map((data) => ({ name: 'run', data })))
    await until('the jobs', async () => (done.length === 3 ? true : undefined))
    expect(done.toSorted()).toEqual(['a', 'b', 'c'])
  })
})

async function killAll(server: RedisServer): Promise<void> {
  const ids = [...String(await server.run('CLIENT', 'LIST')).matchAll(/^id=(\d+) .*name=tributary/gm)]
  for (const [, id = ''] of ids) await server.run('CLIENT', 'KILL', 'ID', id)
}
