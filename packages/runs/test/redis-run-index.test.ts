import { systemClock } from '@tributary/protocol'
import { RedisConnections } from '@tributary/redis'
import { FakeClock } from '@tributary/testkit'
import { describeWithRedis } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { RedisRunIndex } from '../src/redis/index.ts'
import { runIndexKeys } from '../src/redis/redis-keys.ts'
import { endedAt, runIndexContract, runOf } from './run-index-contract.ts'

describeWithRedis('RedisRunIndex', (redis) => {
  async function openPlace() {
    const connections = await RedisConnections.open({ url: redis.url })
    const prefix = redis.prefix()
    const opened: RedisRunIndex[] = []
    return {
      connections,
      keys: runIndexKeys(prefix, 'worker'),
      now: () => systemClock.now(),
      async open(clock = systemClock) {
        const index = new RedisRunIndex({ redis: connections, prefix, name: 'worker', clock })
        opened.push(index)
        return index
      },
      async [Symbol.asyncDispose]() {
        for (const index of opened) await index[Symbol.asyncDispose]()
        await connections[Symbol.asyncDispose]()
      },
    }
  }

  runIndexContract('RedisRunIndex', openPlace)

  it('believes a claim no longer whose node says nothing: its key is free, and its log somebody’s to drop', async () => {
    await using place = await openPlace()
    const [dead, other] = [await place.open(), await place.open()]
    const once = { key: 'k', fingerprint: 'f', windowMs: 60_000 }
    await dead.claim('run_1', once)
    await place.connections.call((client) => client.zadd(place.keys.claims, 1, 'run_1'))
    expect(await other.forget({ maxAgeMs: 1_000, maxCount: 1 })).toEqual(['run_1'])
    expect(await other.claim('run_2', once)).toEqual({ kind: 'ours' })
    await expect(dead.add(runOf('run_1', place.now(), 'ann', once))).rejects.toMatchObject({
      code: 'store_unavailable',
    })
  })

  it('renews what it claims until that is accepted', async () => {
    await using place = await openPlace()
    const clock = new FakeClock()
    const index = await place.open(clock)
    await index.claim('run_1')
    await place.connections.call((client) => client.zadd(place.keys.claims, 1, 'run_1'))
    clock.advance(5_000)
    const untilOf = () => place.connections.call((client) => client.zscore(place.keys.claims, 'run_1'))
    await expect.poll(async () => Number(await untilOf())).toBeGreaterThan(place.now())
    await index.add(runOf('run_1', place.now()))
    expect(await untilOf()).toBeNull()
  })

  it('asks another to drop a log where who was asked did not', async () => {
    await using place = await openPlace()
    const index = await place.open()
    await index.claim('run_1')
    await index.add(runOf('run_1', place.now()))
    await index.end(endedAt(runOf('run_1', place.now()), place.now() - 10))
    const retention = { maxAgeMs: 1, maxCount: 10 }
    expect(await index.forget(retention)).toEqual(['run_1'])
    expect(await index.forget(retention)).toEqual([])
    await place.connections.call((client) => client.zadd(place.keys.dropping, 1, 'run_1'))
    expect(await index.forget(retention)).toEqual(['run_1'])
    await index.dropped(['run_1'])
    await place.connections.call((client) => client.zadd(place.keys.dropping, 'XX', 1, 'run_1'))
    expect(await index.forget(retention)).toEqual([])
  })

  it('knows what it lost again once it is given it, in its order and by its key, and nothing that is kept no longer', async () => {
    await using place = await openPlace()
    const index = await place.open()
    const { records, all, byUser, live } = place.keys
    const once = { key: 'k', fingerprint: 'f', windowMs: 60_000 }
    const [live1, ended, gone] = [
      runOf('run_1', place.now(), 'ann', once),
      endedAt(runOf('run_2', place.now()), place.now()),
      endedAt(runOf('run_3', place.now() - 90_000), place.now() - 80_000),
    ]
    for (const run of [live1, ended, gone]) {
      await index.claim(run.runId, run === live1 ? once : undefined)
      await index.add(run)
    }
    await index.end(gone)
    expect(await index.forget({ maxAgeMs: 60_000, maxCount: 10 })).toEqual(['run_3'])
    await place.connections.call((client) => client.del(records, all, byUser, live, place.keys.once('k')))
    expect(await index.find('run_1')).toBeUndefined()
    const stored = (run: typeof live1, closed: boolean) => ({ ...run, lastEventId: undefined, closed })
    expect(await index.restore(stored(live1, false))).toBe(true)
    expect(await index.restore(stored(ended, true))).toBe(true)
    expect(await index.restore(stored(gone, true))).toBe(false)
    expect(await index.find('run_1')).toMatchObject(live1)
    expect((await index.unfinished('', 10)).map(({ runId }) => runId)).toEqual(['run_1'])
    expect(await index.claim('run_4', once)).toMatchObject({ kind: 'theirs', runId: 'run_1' })
    const pages: string[] = []
    for await (const page of index.newest({ userId: 'ann' })) pages.push(...page.map(({ runId }) => runId))
    expect(pages).toEqual(['run_2', 'run_1'])
    expect(await index.forget({ maxAgeMs: 60_000, maxCount: 0 })).toEqual(['run_2'])
  })
})
