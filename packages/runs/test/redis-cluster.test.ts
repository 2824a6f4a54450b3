import { RedisConnections } from '@tributary/redis'
import { startRedisCluster } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { BullRunQueue } from '../src/bullmq/index.ts'
import { RedisRunIndex } from '../src/redis/index.ts'
import type { IndexedRun } from '../src/run-index.ts'
import { endedAt, runOf } from './run-index-contract.ts'
import { Executor } from './run-queue-contract.ts'

describeWithRedisServers('runs on a Redis Cluster', () => {
  it('are dispatched, handed on and listed as on one server', { timeout: 60_000 }, async () => {
    await using servers = await startRedisCluster()
    const shared = { prefix: 'test', name: 'worker' }
    await using redis = await RedisConnections.open({ url: servers.url })
    await using other = await RedisConnections.open({ url: servers.url })
    await using index = new RedisRunIndex({ ...shared, redis })
    await using queue = await BullRunQueue.open({ ...shared, redis, lockMs: 1_500 })
    await using taking = await BullRunQueue.open({ ...shared, redis: other, lockMs: 1_500 })
    const [here, there] = [new Executor(), new Executor()]
    const now = Date.now()
    for (const n of [1, 2, 3]) {
      const run = runOf(`run_${n}`, now + n)
      await index.claim(run.runId, { key: `k${n}`, fingerprint: 'f', windowMs: 60_000 })
      await index.add(run)
      await queue.add({ runId: run.runId, userId: 'ann' })
    }
    await queue.hold({ runId: 'run_held', userId: 'ann' }, here.execute)
    taking.take(there.execute)
    expect((await there.until(3)).toSorted()).toEqual(['run_1', 'run_2', 'run_3'])
    here.rest('run_held', 'unfinished')
    await there.until(4)
    for (const runId of there.begun) there.rest(runId)
    await index.end(endedAt(runOf('run_1', now + 1), now - 10))
    const pages: IndexedRun[] = []
    for await (const page of index.newest({ userId: 'ann' })) pages.push(...page)
    expect(pages.map(({ runId }) => runId)).toEqual(['run_3', 'run_2', 'run_1'])
    expect(await index.forget({ maxAgeMs: 1, maxCount: 10 })).toEqual(['run_1'])
    await index.dropped(['run_1'])
    expect(await index.find('run_1')).toBe('gone')
  })
})
