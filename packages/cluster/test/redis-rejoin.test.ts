import { type Clock, systemClock } from '@tributary/protocol'
import { RedisConnections } from '@tributary/redis'
import { FakeClock, startRedis } from '@tributary/testkit'
import { describeWithRedis, describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it, onTestFinished } from 'vitest'
import { clusterKeys } from '../src/redis/redis-keys.ts'
import { clusterOf, TOLD } from './nodes-contract.ts'
import { openNode, TEST_LEASE_MS, type TestNode } from './redis-fixture.ts'

/** A node whose heartbeats come only when its clock is moved: held still, it is as if its process were frozen. */
async function openFrozen(url: string, prefix: string, nodeId: string) {
  const clock = new FakeClock()
  const node = await openNode(url, prefix, { nodeId, clock })
  onTestFinished(() => node[Symbol.asyncDispose]())
  let rejoined = 0
  node.cluster.onRejoined(async () => {
    rejoined += 1
  })
  return { ...node, rejoined: () => rejoined, beat: () => clock.advance(TEST_LEASE_MS) }
}

const idsAt = async ({ cluster }: Pick<TestNode, 'cluster'>) =>
  (await cluster.nodes()).map(({ nodeId }) => nodeId).sort()

describeWithRedis('a node that was away', (redis) => {
  it('notices at its next heartbeat, and is there again', async () => {
    const prefix = redis.prefix()
    const { open, listen, goneIds } = clusterOf(() => redis.url, prefix)
    const frozen = await openFrozen(redis.url, prefix, 'frozen')
    const other = await open('other')
    listen(other)
    await expect.poll(goneIds, TOLD).toEqual(['frozen'])
    expect(await idsAt(other)).toEqual(['other'])
    expect(frozen.rejoined()).toBe(0)
    frozen.beat()
    await expect.poll(frozen.rejoined, TOLD).toBe(1)
    expect(await idsAt(other)).toEqual(['frozen', 'other'])
    // Gone again, it is told of again.
    await expect.poll(goneIds, TOLD).toEqual(['frozen', 'frozen'])
  })

  it('is not back before those who were told that it is gone are done', async () => {
    const prefix = redis.prefix()
    const { open } = clusterOf(() => redis.url, prefix)
    const frozen = await openFrozen(redis.url, prefix, 'frozen')
    const other = await open('other')
    const [begun, done] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    other.cluster.onNodeGone(async () => {
      begun.resolve()
      await done.promise
    })
    await begun.promise
    frozen.beat()
    // The answer to the heartbeat, then that of a command behind it on the same connection.
    await frozen.redis.call((client) => client.ping())
    expect(await idsAt(other)).toEqual(['other'])
    expect(frozen.rejoined()).toBe(0)
    done.resolve()
    await expect
      .poll(() => {
        frozen.beat()
        return frozen.rejoined()
      }, TOLD)
      .toBe(1)
  })

  it('is asked to register again until that has worked', async () => {
    const prefix = redis.prefix()
    const { open, listen, goneIds } = clusterOf(() => redis.url, prefix)
    const frozen = await openFrozen(redis.url, prefix, 'frozen')
    let calls = 0
    frozen.cluster.onRejoined(async () => {
      calls += 1
      if (calls === 1) throw new Error('not yet')
    })
    listen(await open('other'))
    await expect.poll(goneIds, TOLD).toEqual(['frozen'])
    frozen.beat()
    await expect.poll(() => calls, TOLD).toBe(1)
    await expect
      .poll(() => {
        frozen.beat()
        return calls
      }, TOLD)
      .toBeGreaterThan(1)
  })

  it('is no matter of what its own clock says', async () => {
    const prefix = redis.prefix()
    const { open, listen, told } = clusterOf(() => redis.url, prefix)
    let jumpedMs = 0
    const clock: Clock = { ...systemClock, now: () => Date.now() + jumpedMs }
    const jumping = await openNode(redis.url, prefix, { nodeId: 'jumping', clock })
    onTestFinished(() => jumping[Symbol.asyncDispose]())
    const other = await open('other')
    listen(other)
    listen(jumping)
    other.cluster.handle('echo', async (payload) => payload)
    jumping.cluster.handle('echo', async (payload) => payload)
    const seenAt = async () =>
      (await other.cluster.nodes()).find(({ nodeId }) => nodeId === 'jumping')?.seenAt
    for (const jump of [1e10, -1e10]) {
      jumpedMs = jump
      const before = (await seenAt()) ?? 0
      await expect.poll(seenAt, TOLD).toBeGreaterThan(before)
      expect(await seenAt()).toBeLessThan(Date.now() + 60_000)
      expect(await jumping.cluster.ask('other', 'echo', jump)).toMatchObject({ ok: true, result: jump })
      expect(await other.cluster.ask('jumping', 'echo', jump)).toMatchObject({ ok: true, result: jump })
    }
    expect(told).toEqual([])
  })

  it('is swept in time also where the clock of Redis was set back', async () => {
    const prefix = redis.prefix()
    const { open, listen, goneIds } = clusterOf(() => redis.url, prefix)
    const nodes = [await open('a'), await open('b')]
    const dying = await openNode(redis.url, prefix, { nodeId: 'dying' })
    onTestFinished(() => dying[Symbol.asyncDispose]())
    for (const node of nodes) listen(node)
    const { leases, nodes: records, beatAt } = clusterKeys(prefix)
    // What is there after a failover from a server whose clock was an hour ahead.
    await dying.redis.call((client) =>
      client.eval(
        `for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZINCRBY', KEYS[1], ARGV[1], id) end
        local all = redis.call('HGETALL', KEYS[2])
        for i = 1, #all, 2 do
          local known = cjson.decode(all[i + 1])
          known.since, known.seenAt = known.since + ARGV[1], known.seenAt + ARGV[1]
          redis.call('HSET', KEYS[2], all[i], cjson.encode(known))
        end
        redis.call('INCRBY', KEYS[3], ARGV[1])`,
        3,
        leases,
        records,
        beatAt,
        3_600_000,
      ),
    )
    await dying.cut()
    await expect.poll(goneIds, TOLD).toEqual(['dying'])
    expect(await idsAt({ cluster: nodes[0]?.cluster ?? expect.fail() })).toEqual(['a', 'b'])
  })

  it('drops a request that nobody waits for any more', async () => {
    const prefix = redis.prefix()
    const { open } = clusterOf(() => redis.url, prefix)
    const node = await open('node')
    const done: unknown[] = []
    node.cluster.handle('note', async (payload) => void done.push(payload))
    const channel = clusterKeys(prefix).nodeChannel('node')
    const send = (id: string, until: number) => {
      const frame = { type: 'request', id, from: 'other', kind: 'note', payload: id, until }
      return node.redis.call((client) =>
        node.redis.publishCommand === 'SPUBLISH'
          ? client.spublish(channel, JSON.stringify(frame))
          : client.publish(channel, JSON.stringify(frame)),
      )
    }
    await send('late', Date.now() - 60_000)
    await node.redis.call((client) => client.publish(channel, '{"type":"answer"'))
    await send('in time', Date.now() + 60_000)
    await expect.poll(() => done).toEqual(['in time'])
  })
})

describeWithRedisServers('a cluster whose Redis goes away', () => {
  it.each(['frozen', 'lost'] as const)(
    'takes nobody for gone where it was %s for longer than a lease',
    async (how) => {
      const server = await startRedis()
      onTestFinished(() => server[Symbol.asyncDispose]())
      const { open, listen, told } = clusterOf(() => server.url, 'p')
      const nodes = [await open('a'), await open('b'), await open('c')]
      const rejoined = new Set<string>()
      for (const node of nodes) {
        listen(node)
        node.cluster.onRejoined(async () => void rejoined.add(node.cluster.nodeId))
      }
      // So that each may find others gone.
      const watch = await RedisConnections.open({ url: server.url, timeoutMs: 2_000 })
      onTestFinished(() => watch[Symbol.asyncDispose]())
      await passed(watch, 2 * TEST_LEASE_MS)
      if (how === 'lost') {
        await server.kill()
        await server.restart()
      } else {
        server.pause()
        await new Promise((resolve) => setTimeout(resolve, 2 * TEST_LEASE_MS))
        server.resume()
      }
      await expect.poll(() => [...rejoined].sort(), TOLD).toEqual(['a', 'b', 'c'])
      expect(await idsAt({ cluster: nodes[0]?.cluster ?? expect.fail() })).toEqual(['a', 'b', 'c'])
      await passed(watch, 2 * TEST_LEASE_MS)
      expect(told).toEqual([])
    },
  )
})

/** Waits until this much has passed at the server. */
async function passed(redis: RedisConnections, ms: number): Promise<void> {
  const now = async () => {
    const [s = 0, us = 0] = await redis.call((client) => client.time(), { again: true })
    return Number(s) * 1_000 + Number(us) / 1_000
  }
  const begin = await now()
  await expect.poll(now, { timeout: 20 * ms }).toBeGreaterThan(begin + ms)
}
