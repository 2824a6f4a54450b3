import { startRedis } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { startGateway, startWorker } from './processes.ts'
import { healthOf, numbersOf, readGroup, sendNumber, upTo } from './redis-outage.ts'

const LIMIT_MS = 120_000
const LATER = { timeout: 30_000 }
/** Longer than a test may take: who used it up would be seen. */
const DRAIN_MS = '600000'

/** A gateway that has taken three numbers which wait for a Redis that is away. `onLine` hears what it says. */
async function waitingGateway(url: string, goAway: () => Promise<void>, onLine: (line: string) => void) {
  const gateway = await startGateway({ env: { REDIS_URL: url, DRAIN_MS }, onLine })
  const reader = await readGroup(gateway, 'alice')
  await goAway()
  await expect.poll(async () => JSON.stringify(await healthOf(gateway)), LATER).toContain('Redis is away')
  for (const n of [1, 2, 3]) expect(await sendNumber(gateway, n)).toMatchObject({ status: 202 })
  await upTo(reader, 3)
  return { gateway, reader }
}

describeWithRedisServers('a node that ends while Redis is away', () => {
  it('says how much it takes with it, and does not wait for what cannot be', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis({ persistent: true })
    await using worker = await startWorker({ env: { REDIS_URL: redis.url, DRAIN_MS } })
    const said: string[] = []
    const { gateway, reader } = await waitingGateway(
      redis.url,
      () => redis.kill(),
      (line) => said.push(line),
    )
    await using _reader = reader
    process.kill(gateway.pid ?? 0, 'SIGTERM')
    process.kill(worker.pid ?? 0, 'SIGTERM')
    expect([await gateway.exited, await worker.exited]).toEqual([0, 0])
    const lost = said.filter((line) => line.includes('lost with this process'))
    expect(lost.map((line) => JSON.parse(line))).toMatchObject([{ events: 3 }])
    expect(said.join('\n')).not.toContain('drain step given up')
    expect(reader.ofType('disconnected')).toMatchObject([{ data: { reason: 'drain' } }])
  })

  it('stores what waits where Redis comes back in time', { timeout: LIMIT_MS }, async () => {
    await using redis = await startRedis({ persistent: true })
    const waits = Promise.withResolvers<void>()
    const said: string[] = []
    const { gateway, reader } = await waitingGateway(
      redis.url,
      () => redis.kill(),
      (line) => {
        said.push(line)
        if (line.includes('events wait for Redis')) waits.resolve()
      },
    )
    await using _reader = reader
    process.kill(gateway.pid ?? 0, 'SIGTERM')
    await waits.promise
    await redis.restart()
    expect(await gateway.exited).toBe(0)
    expect(said.join('\n')).not.toContain('lost with this process')
    await using next = await startGateway({ env: { REDIS_URL: redis.url } })
    await using late = await readGroup(next, 'bob', '0')
    await upTo(late, 3)
    expect(numbersOf(late)).toEqual([1, 2, 3])
  })
})
