import { RedisEventStore } from '@tributary/eventlog/redis'
import { systemClock } from '@tributary/protocol'
import { RedisConnections } from '@tributary/redis'
import { describeWithRedis } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { countTakeover } from '../src/takeovers.ts'

const WAITING = { clock: systemClock, end: new Promise<never>(() => undefined) }

describeWithRedis('countTakeover', (redis) => {
  it('counts those that other nodes noted since this one last looked', async () => {
    await using opened = new AsyncDisposableStack()
    const prefix = redis.prefix()
    const openLog = async () => {
      const connections = opened.use(await RedisConnections.open({ url: redis.url }))
      const store = opened.adopt(new RedisEventStore({ connections, prefix }), (closing) => closing.close())
      const retention = () => ({ maxEvents: 10, maxAgeMs: Number.POSITIVE_INFINITY })
      return store.open('run:run_1', { runId: 'run_1', retention })
    }
    const nodes = await Promise.all([openLog(), openLog(), openLog()])
    const times: number[] = []
    for (const log of nodes) {
      const takeover = await countTakeover(log, WAITING)
      times.push(takeover.times)
      await log.append([], { attributes: takeover.attributes })
    }
    expect(times).toEqual([1, 2, 3])
  })
})
