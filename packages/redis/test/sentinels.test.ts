import { RedisConnections } from '@tributary/redis'
import { type RedisServer, startRedis, until } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, test } from 'vitest'

const LIMIT_MS = 60_000

/** A Sentinel that knows no other, and of so many failovers. */
const sentinelOf = (master: RedisServer, epoch: number) =>
  startRedis({
    sentinel: true,
    lines: [
      `sentinel monitor main 127.0.0.1 ${master.port} 1`,
      `sentinel config-epoch main ${epoch}`,
      `sentinel current-epoch ${epoch}`,
    ],
  })

const urlOf = (...sentinels: readonly RedisServer[]) =>
  `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/main`

/** The names of the connections that a server has of a process. */
async function connectionsAt(server: RedisServer): Promise<readonly string[]> {
  const list = String(await server.run('CLIENT', 'LIST'))
  return [...list.matchAll(/ name=(node-1\S*)/g)].map(([, name = '']) => name).sort()
}

const here = (server: RedisServer, redis: RedisConnections) =>
  until('a connection there', async () => {
    await redis.call((client) => client.set('key', 'value'), { again: true })
    return (await server.run('GET', 'key')) ?? undefined
  })

const ALL = ['node-1', 'node-1-jobs', 'node-1-subscriber']

/** Two masters, each the one of a Sentinel of so many failovers. */
async function parted(leftEpoch: number, epoch: number) {
  await using started = new AsyncDisposableStack()
  const left = started.use(await startRedis())
  const master = started.use(await startRedis())
  const ofLeft = started.use(await sentinelOf(left, leftEpoch))
  const ofMaster = started.use(await sentinelOf(master, epoch))
  const owned = started.move()
  const url = urlOf(ofLeft, ofMaster)
  return { left, master, ofLeft, ofMaster, url, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** A process with a connection of each kind. */
async function opened(url: string) {
  const redis = await RedisConnections.open({ url, name: 'node-1' })
  redis.createBlocking('jobs')
  await redis.subscriptions.subscribe('channel', () => undefined).ready
  return redis
}

describeWithRedisServers('Sentinels that do not agree', () => {
  test('the one that knows of the last failover is believed, and no connection goes back', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await parted(4, 5)
    const { left, master, ofMaster } = servers
    await using redis = await opened(servers.url)
    await expect.poll(() => connectionsAt(master), { timeout: LIMIT_MS }).toEqual(ALL)
    await ofMaster.kill()
    const down = Promise.withResolvers<void>()
    redis.onDown(() => down.resolve())
    await master.run('CLIENT', 'KILL', 'TYPE', 'normal')
    await down.promise
    // It is asked, again and again, and names the one that was left.
    await expect
      .poll(() => (redis.status.state === 'down' ? redis.status.reason : ''), { timeout: LIMIT_MS })
      .toBe('the Sentinels that answer do not know of the last failover yet')
    expect(await connectionsAt(left)).toEqual([])
    await ofMaster.restart()
    await here(master, redis)
    expect(await left.run('GET', 'key')).toBeNull()
  })

  test('all connections leave at once for a master that one of them has found', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await parted(4, 5)
    const { left, master, ofMaster } = servers
    await ofMaster.kill()
    await using _ = await opened(servers.url)
    await expect.poll(() => connectionsAt(left), { timeout: LIMIT_MS }).toEqual(ALL)
    await ofMaster.restart()
    await expect.poll(() => connectionsAt(master), { timeout: LIMIT_MS }).toEqual(ALL)
    expect(await connectionsAt(left)).toEqual([])
  })

  test('a failover that none of them knows of any more is forgotten, as where they were set up anew', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await parted(5, 0)
    const { left, master, ofLeft, ofMaster } = servers
    await ofMaster.kill()
    await using redis = await RedisConnections.open({ url: servers.url })
    await here(left, redis)
    await Promise.all([ofLeft.kill(), left.kill()])
    await ofMaster.restart()
    await here(master, redis)
  })
})
