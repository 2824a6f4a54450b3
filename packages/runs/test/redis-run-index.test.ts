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
    expect(await other.claim('run_2', once)).toMatchObject({ kind: 'ours' })
    await expect(dead.add(runOf('run_1', place.now(), 'ann', once))).rejects.toMatchObject({
      code: 'store_unavailable',
    })
  })

  it('says as what is prepared already what is claimed again with its key, until that is accepted', async () => {
    await using place = await openPlace()
    const index = await place.open()
    const once = { key: 'k', fingerprint: 'f', windowMs: 60_000 }
    const lapse = (runId: string) =>
      place.connections.call((client) => client.zadd(place.keys.claims, 1, runId))
    expect(await index.claim('run_1', once)).toEqual({ kind: 'ours' })
    await lapse('run_1')
    expect(await index.claim('run_2', once)).toEqual({ kind: 'ours', preparedAs: 'run_1' })
    // As where the answer was lost.
    expect(await index.claim('run_2', once)).toEqual({ kind: 'ours', preparedAs: 'run_1' })
    await lapse('run_2')
    expect(await index.claim('run_3', once)).toEqual({ kind: 'ours', preparedAs: 'run_1' })
    await index.add(runOf('run_3', place.now(), 'ann', once))
    await index.abandon('run_3', 'run_1')
    expect(await index.claim('run_4', once)).toEqual({ kind: 'ours', preparedAs: 'run_1' })
    await lapse('run_4')
    const another = { ...once, fingerprint: 'g' }
    expect(await index.claim('run_5', another)).toEqual({ kind: 'ours' })
    await index.abandon('run_5')
    expect(await index.claim('run_6', another)).toEqual({ kind: 'ours' })
  })

  it('accepts one run of a key: none whose claim was believed no longer when another took it', async () => {
    await using place = await openPlace()
    const [frozen, other] = [await place.open(), await place.open()]
    const once = { key: 'k', fingerprint: 'f', windowMs: 60_000 }
    await frozen.claim('run_1', once)
    await place.connections.call((client) => client.zadd(place.keys.claims, 1, 'run_1'))
    await other.claim('run_2', once)
    const late = frozen.add(runOf('run_1', place.now(), 'ann', once))
    await expect(late).rejects.toMatchObject({ code: 'store_unavailable' })
    await frozen.abandon('run_1')
    await other.add(runOf('run_2', place.now(), 'ann', once))
    expect(await frozen.find('run_1')).toBeUndefined()
    expect(await frozen.claim('run_3', once)).toMatchObject({ kind: 'theirs', runId: 'run_2' })
    // Whose log there may be is somebody's to drop.
    expect(await other.forget({ maxAgeMs: 60_000, maxCount: 10 })).toEqual(['run_1'])
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

  it('says again that a run has ended where the server of before has lost that', async () => {
    await using place = await openPlace()
    const index = await place.open()
    const { records, live, ended } = place.keys
    const run = runOf('run_1', place.now())
    await index.claim('run_1')
    await index.add(run)
    const before = await place.connections.call((client) => client.hget(records, 'run_1'))
    await index.end(endedAt(run, place.now()))
    await place.connections.call((client) =>
      client
        .multi()
        .hset(records, 'run_1', before ?? '')
        .zadd(live, 0, 'run_1')
        .zrem(ended, 'run_1')
        .exec(),
    )
    expect(await index.find('run_1')).toEqual(run)
    const id = await place.connections.call((client) => client.call('CLIENT', 'ID'))
    await using other = await RedisConnections.open({ url: redis.url })
    await other.call((client) => client.call('CLIENT', 'KILL', 'ID', String(id)))
    await expect
      .poll(() => index.find('run_1').catch(() => undefined))
      .toMatchObject({ record: { ended: { status: 'succeeded' } } })
    expect(await index.unfinished('', 10)).toEqual([])
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
    expect(await index.restore(stored(live1, false))).toBe('known')
    expect(await index.restore(stored(ended, true))).toBe('known')
    expect(await index.restore(stored(gone, true))).toBe('gone')
    expect(await index.find('run_1')).toMatchObject(live1)
    expect((await index.unfinished('', 10)).map(({ runId }) => runId)).toEqual(['run_1'])
    expect(await index.claim('run_4', once)).toMatchObject({ kind: 'theirs', runId: 'run_1' })
    const pages: string[] = []
    for await (const page of index.newest({ userId: 'ann' })) pages.push(...page.map(({ runId }) => runId))
    expect(pages).toEqual(['run_2', 'run_1'])
    expect(await index.forget({ maxAgeMs: 60_000, maxCount: 0 })).toEqual(['run_2'])
  })
})
