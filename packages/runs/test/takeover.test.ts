import type { EventStore } from '@tributary/eventlog'
import { RedisEventStore } from '@tributary/eventlog/redis'
import { systemClock } from '@tributary/protocol'
import { RedisConnections } from '@tributary/redis'
import { startRedis } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { OwnedRun } from '../src/owned-run.ts'
import { newRecord } from '../src/run-record.ts'
import { anyRun, typesOf } from './runs-under-test.ts'

const LIMIT_MS = 30_000
const AT = 'source.0.at'

async function openStore(url: string) {
  const connections = await RedisConnections.open({ url, timeoutMs: 1_000 })
  const store = new RedisEventStore({ connections, prefix: 'takeover' })
  return {
    store,
    async [Symbol.asyncDispose]() {
      await store.close()
      await connections[Symbol.asyncDispose]()
    },
  }
}

async function openRun(store: EventStore, epoch: number): Promise<OwnedRun> {
  const retention = () => ({ maxEvents: 100, maxAgeMs: Number.POSITIVE_INFINITY })
  const log = await store.open('run:run_1', { runId: 'run_1', retention })
  const record = newRecord(anyRun(), 0, undefined, { epoch })
  const run = new OwnedRun({
    runId: 'run_1',
    record,
    log,
    maxEvents: 100,
    source: 'test',
    clock: systemClock,
  })
  run.begin()
  return run
}

describeWithRedisServers('a run that is taken over', () => {
  it('goes on behind all that the node before stored, also where this one had its log open and heard of nothing', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis()
    await using here = await openStore(redis.url)
    await using there = await openStore(redis.url)
    const before = await openRun(here.store, 1)
    // As where one of its readers has read it.
    const next = await openRun(there.store, 2)
    for (const at of ['12', '13', '14'])
      await before.append({ type: 'item', data: at, source: 's' }, { [AT]: at })
    const unwatch = next.watch()
    await next.takeOver()
    expect(next.attribute(AT)).toBe('14')
    expect(await typesOf(next.log)).toEqual(['item', 'item', 'item'])
    await expect(before.append({ type: 'item', data: '15', source: 's' })).rejects.toThrow()
    unwatch()
  })
})
