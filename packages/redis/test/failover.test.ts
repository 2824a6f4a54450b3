import { defineScript, RedisConnections } from '@tributary/redis'
import { type RedisServer, startRedisCluster, startRedisWithSentinel, until } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import Type from 'typebox'
import { describe, expect, test } from 'vitest'
import { nextInterruption } from './noticed.ts'

const LIMIT_MS = 60_000
const ADD = defineScript({
  name: 'add',
  file: new URL('./scripts/add.lua', import.meta.url),
  answer: Type.Tuple([Type.Integer(), Type.String()]),
})

/** Writes until it is done, as one does who may. */
const written = (redis: RedisConnections, key: string) =>
  until('a write', async () => await redis.call((client) => client.set(key, 'value'), { again: true }))

/** The same, again and again until that server has it: what another took is lost. */
const writtenAt = (find: () => Promise<RedisServer>, redis: RedisConnections, key: string) =>
  until('a write at the master', async () => {
    await written(redis, key)
    return (await (await find()).run('GET', key)) ?? undefined
  })

/** Publishes by a script, as the adapters do, until somebody hears it: what is told in an interruption is missed. */
async function heardAgain(redis: RedisConnections, key: string, heard: string[]) {
  const lua = `return redis.call('${redis.publishCommand}', KEYS[1], ARGV[1])`
  await until('the message', async () => {
    await redis.call((client) => client.eval(lua, 1, key, 'after'), { again: true })
    return heard.includes('after') ? true : undefined
  })
}

describeWithRedisServers('with Sentinel', () => {
  describe.each([
    ['is killed', (master: RedisServer) => master.kill(), (master: RedisServer) => master.restart()],
    [
      'is frozen',
      async (master: RedisServer) => master.pause(),
      async (master: RedisServer) => master.resume(),
    ],
  ])('whose master %s', (_, harm, heal) => {
    test('commands and subscriptions go on at the new one', { timeout: LIMIT_MS }, async () => {
      await using all = await startRedisWithSentinel()
      await using redis = await RedisConnections.open({ url: all.url, timeoutMs: 2_000 })
      const heard: string[] = []
      await redis.subscriptions.subscribe('key', (message) => heard.push(message)).ready
      const isInterrupted = nextInterruption(redis)
      const master = await all.master()
      await harm(master)
      const next = await all.failedOver(master)
      await written(redis, 'key')
      expect(await next.run('GET', 'key')).toBe('value')
      expect(await isInterrupted).toEqual(['key'])
      await heardAgain(redis, 'key', heard)
      // The old one is back, as a replica, and draws nobody to itself. On a busy machine the Sentinels may swap them again.
      await heal(master)
      await until('a replica', async () => {
        const roles = await Promise.all(all.servers.map((server) => server.run('ROLE')))
        if (!roles.flat().includes('slave')) throw new Error(`they are ${JSON.stringify(roles)}`)
        return true
      })
      await writtenAt(() => all.master(), redis, 'other')
    })
  })

  test('commands and subscriptions follow a failover that an operator asked for', {
    timeout: LIMIT_MS,
  }, async () => {
    await using all = await startRedisWithSentinel()
    await using redis = await RedisConnections.open({ url: all.url })
    const heard: string[] = []
    await redis.subscriptions.subscribe('key', (message) => heard.push(message)).ready
    const isInterrupted = nextInterruption(redis)
    const before = await all.master()
    await all.failover()
    const next = await all.failedOver(before)
    // What the old one took before it knew is lost: nobody had a replica of it.
    await writtenAt(async () => next, redis, 'key')
    expect(await isInterrupted).toEqual(['key'])
    await heardAgain(redis, 'key', heard)
  })

  test('a Sentinel that is gone is done without', { timeout: LIMIT_MS }, async () => {
    await using all = await startRedisWithSentinel()
    await all.sentinels[0]?.kill()
    await using redis = await RedisConnections.open({ url: all.url })
    expect(await redis.call((client) => client.ping())).toBe('PONG')
  })
})

describeWithRedisServers('with a Cluster', () => {
  test.each([
    ['killed', (master: RedisServer) => master.kill()],
    ['frozen', async (master: RedisServer) => master.pause()],
  ])(
    'whose master is %s, commands and subscriptions of its shard go on at the replica, others are not touched',
    {
      timeout: LIMIT_MS,
    },
    async (_, harm) => {
      await using cluster = await startRedisCluster({ replicas: 1 })
      await using redis = await RedisConnections.open({ url: cluster.url, timeoutMs: 2_000 })
      const heard: string[] = []
      const keys = ['a', 'b', 'c', 'd']
      await Promise.all(
        keys.map((key) => redis.subscriptions.subscribe(key, (message) => heard.push(message)).ready),
      )
      const master = await cluster.ownerOf('a')
      const isInterrupted = nextInterruption(redis)
      await harm(master)
      const owner = await until('another owner', async () => {
        const now = await cluster.ownerOf('a')
        return now === master ? undefined : now
      })
      await written(redis, 'a')
      expect(await owner.run('GET', 'a')).toBe('value')
      const interrupted = await isInterrupted
      expect(interrupted).toContain('a')
      expect(interrupted.length).toBeLessThan(keys.length)
      await heardAgain(redis, 'a', heard)
      await until('health', async () => (redis.status.state === 'up' ? true : undefined))
    },
  )

  test('commands and subscriptions follow a slot that moves, which is told', {
    timeout: LIMIT_MS,
  }, async () => {
    await using cluster = await startRedisCluster()
    await using redis = await RedisConnections.open({ url: cluster.url })
    const heard: string[] = []
    await redis.subscriptions.subscribe('key', (message) => heard.push(message)).ready
    await written(redis, 'key')
    const isInterrupted = nextInterruption(redis)
    const from = await cluster.ownerOf('key')
    await cluster.moveSlot('key')
    expect(await cluster.ownerOf('key')).not.toBe(from)
    expect(await isInterrupted).toEqual(['key'])
    expect(await redis.call((client) => client.get('key'))).toBe('value')
    await heardAgain(redis, 'key', heard)
  })

  test('a script is done once for each time that it was asked for, while its slot moves', {
    timeout: LIMIT_MS,
  }, async () => {
    await using cluster = await startRedisCluster()
    await using redis = await RedisConnections.open({ url: cluster.url })
    const fill = `for i = 1, 200 do redis.call('SET', '{key}:' .. i, string.rep('x', 1000)) end`
    await (await cluster.ownerOf('key')).run('EVAL', fill, 1, 'key')
    let done = 0
    let hasMoved = false
    const add = async () => {
      while (!hasMoved) {
        await redis.run(ADD, ['key', '{key}:counted'], [1], { again: true })
        done += 1
      }
    }
    const adding = Promise.all([add(), add(), add()])
    for (let i = 0; i < 4; i += 1) await cluster.moveSlot('key')
    hasMoved = true
    await adding
    expect(done).toBeGreaterThan(0)
    expect(Number(await (await cluster.ownerOf('key')).run('GET', 'key'))).toBe(done)
  })

  test('no connection to a server is left that has none of our channels', { timeout: LIMIT_MS }, async () => {
    await using cluster = await startRedisCluster()
    await using redis = await RedisConnections.open({ url: cluster.url, name: 'node-1' })
    const subscriptions = ['a', 'b', 'c', 'd'].map((key) =>
      redis.subscriptions.subscribe(key, () => undefined),
    )
    await Promise.all(subscriptions.map(({ ready }) => ready))
    const lists = await Promise.all(cluster.servers.map((server) => server.run('CLIENT', 'LIST')))
    for (const list of lists) {
      expect(String(list).match(/name=\S*node-1-subscriber/g)?.length ?? 0).toBeLessThanOrEqual(1)
    }
  })
})
