import { systemClock } from '@tributary/protocol'
import { RedisConnections } from '@tributary/redis'
import { FakeClock, startRedis, startRedisCluster } from '@tributary/testkit'
import { describeWithRedis, describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, onTestFinished, test } from 'vitest'
import type { Principal } from '../src/auth/principal.ts'
import { RedisSessionOwners } from '../src/redis/redis-session-owners.ts'

const KEEP_MS = 86_400_000

const user = (userId: string, roles: string[] = []): Principal => ({
  userId,
  roles,
  method: 'token',
  metadata: {},
})
const anonymous = (sessionId: string): Principal => ({
  ...user(`anonymous:${sessionId}`),
  method: 'anonymous',
})

async function openNode(url: string, prefix: string, clock = systemClock) {
  const redis = await RedisConnections.open({ url })
  onTestFinished(() => redis[Symbol.asyncDispose]())
  const taken: string[] = []
  const lost: string[] = []
  const onTaken = (userId: string) => void taken.push(userId)
  const onLost = (sessionId: string, userId: string) => void lost.push(`${sessionId} ${userId}`)
  const owners = new RedisSessionOwners({ redis, prefix, clock, keepMs: KEEP_MS, onTaken, onLost })
  onTestFinished(() => owners[Symbol.dispose]())
  /** Whether a session is let to somebody. */
  const claim = (sessionId: string, principal: Principal) =>
    owners.claim(sessionId, principal).then(
      () => true,
      (error: { code?: string }) => (error.code === 'forbidden' ? false : Promise.reject(error)),
    )
  return { redis, claim, taken, lost }
}

describeWithRedis('RedisSessionOwners', (server) => {
  test('gives a session to one of many who name it at the same time, at any node', async () => {
    const prefix = server.prefix()
    const nodes = await Promise.all([1, 2, 3].map(() => openNode(server.url, prefix)))
    const users = Array.from({ length: 12 }, (_, n) => `user-${n}`)
    const let_ = await Promise.all(users.map((userId, n) => nodes[n % 3]?.claim('s', user(userId))))
    expect(let_.filter(Boolean)).toHaveLength(1)
    const owner = user(users[let_.indexOf(true)] ?? '')
    for (const { claim } of nodes) {
      expect([await claim('s', owner), await claim('s', user('mallory'))]).toEqual([true, false])
      expect(await claim('s', user('root', ['admin']))).toBe(true)
      expect(await claim('s', anonymous('s'))).toBe(false)
    }
  })

  test('lets who signs in have what was anonymous, and tells whose it was, at any node', async () => {
    const prefix = server.prefix()
    const [a, b] = [await openNode(server.url, prefix), await openNode(server.url, prefix)]
    expect(await a.claim('s', anonymous('s'))).toBe(true)
    expect(await b.claim('s', user('ann'))).toBe(true)
    expect([a.taken, b.taken]).toEqual([[], ['anonymous:s']])
    expect([await a.claim('s', anonymous('s')), await a.claim('s', user('bob'))]).toEqual([false, false])
  })

  test('asks once in a while for who has it, and keeps it for as long as it is used', async () => {
    const prefix = server.prefix()
    const clock = new FakeClock()
    const { redis, claim } = await openNode(server.url, prefix, clock)
    const left = () => redis.call((client) => client.pttl(`${prefix}:session:{s}`))
    await claim('s', user('ann'))
    expect(await left()).toBeGreaterThan(KEEP_MS - 60_000)
    await redis.call((client) => client.pexpire(`${prefix}:session:{s}`, 10_000))
    await claim('s', user('ann'))
    expect(await left()).toBeLessThanOrEqual(10_000)
    clock.advance(60_000)
    await claim('s', user('ann'))
    expect(await left()).toBeGreaterThan(KEEP_MS - 60_000)
    await redis.call((client) => client.del(`${prefix}:session:{s}`))
    expect(await claim('s', user('bob'))).toBe(true)
  })

  test('keeps the hundred that a user used last, and none of them goes while a node may remember it', async () => {
    const prefix = server.prefix()
    const { redis, claim } = await openNode(server.url, prefix)
    const key = `${prefix}:sessions-of:{ann}`
    for (let n = 0; n < 110; n += 1) await claim(`s${n}`, user('ann'))
    await expect.poll(() => redis.call((client) => client.zcard(key))).toBe(110)
    // Two minutes ago.
    const old = Date.now() - 120_001
    await redis.call((client) =>
      client.zadd(key, ...Array.from({ length: 20 }, (_, n) => [old, `s${n}`]).flat()),
    )
    await claim('another', user('ann'))
    await expect.poll(() => redis.call((client) => client.zcard(key))).toBe(100)
    const other = await openNode(server.url, prefix)
    await expect.poll(() => other.claim('s0', user('bob'))).toBe(true)
    expect(await other.claim('s50', user('bob'))).toBe(false)
  })
})

describeWithRedisServers('RedisSessionOwners, when Redis goes away,', () => {
  test('goes by what it knows, takes what is named anew, and gives up what is another’s after all', async () => {
    await using server = await startRedis({ persistent: true })
    const [a, b] = [await openNode(server.url, 'test'), await openNode(server.url, 'test')]
    await a.claim('s', user('ann'))
    await server.kill()
    expect([await a.claim('s', user('ann')), await a.claim('s', user('bob'))]).toEqual([true, false])
    expect([await a.claim('t', user('bob')), await a.claim('t', user('carl'))]).toEqual([true, false])
    expect(await b.claim('t', user('dora'))).toBe(true)
    await server.restart()
    await expect.poll(() => [...a.lost, ...b.lost].length, { timeout: 10_000 }).toBe(1)
    const c = await openNode(server.url, 'test')
    const owners = [await c.claim('t', user('bob')), await c.claim('t', user('dora'))]
    expect(owners.toSorted()).toEqual([false, true])
    expect([...a.lost, ...b.lost]).toEqual([owners[0] ? 't dora' : 't bob'])
  })

  test('keeps nobody waiting for a Redis that is frozen', async () => {
    await using server = await startRedis()
    const { claim } = await openNode(server.url, 'test')
    await claim('s', user('ann'))
    server.pause()
    const claims = [claim('s', anonymous('s')), claim('s', user('ann')), claim('u', user('bob'))]
    expect(await Promise.all(claims)).toEqual([false, true, true])
    server.resume()
  })

  test('works on a Cluster', async () => {
    await using servers = await startRedisCluster()
    const [a, b] = [await openNode(servers.url, 'test'), await openNode(servers.url, 'test')]
    for (let n = 0; n < 20; n += 1) {
      expect(await a.claim(`s${n}`, user('ann'))).toBe(true)
      expect(await b.claim(`s${n}`, user('bob'))).toBe(false)
    }
  })
})
