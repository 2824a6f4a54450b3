import { startRedis, TcpProxy } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { type ServiceProcess, startGateway } from './processes.ts'
import { healthOf, numbersOf, readGroup, sendNumber, statusOf, upTo } from './redis-outage.ts'

const LIMIT_MS = 120_000
const LATER = { timeout: 30_000 }

async function readinessOf({ url }: ServiceProcess): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${url}/readyz`)
  return { status: answer.status, body: await answer.json() }
}

describeWithRedisServers('of two gateways, one that is cut off from Redis', () => {
  it('is not ready and says why, while the other is; and all is delivered once it is back', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis()
    await using network = await TcpProxy.start(redis.port)
    const env = { REDIS_TIMEOUT_MS: '1000' }
    await using cut = await startGateway({
      env: { ...env, REDIS_URL: `redis://127.0.0.1:${network.port}` },
    })
    await using other = await startGateway({ env: { ...env, REDIS_URL: redis.url } })
    await using atCut = await readGroup(cut, 'alice')
    await using atOther = await readGroup(other, 'alice')
    const sent: number[] = []
    // Refused at once, and then a network that takes everything and answers nothing.
    for (const fault of ['refuse', 'silence'] as const) {
      network[fault]()
      await expect
        .poll(() => readinessOf(cut), LATER)
        .toMatchObject({
          status: 503,
          body: { code: 'store_unavailable', detail: expect.stringContaining('Redis is away') },
        })
      expect(await healthOf(cut)).toMatchObject({ status: 200, body: { status: 'degraded' } })
      const health = await fetch(`${cut.url}/api/sse/health`)
      expect([health.status, await health.json()]).toMatchObject([
        200,
        {
          status: expect.stringMatching(/degraded|failing/),
          components: { store: { reason: expect.stringContaining('Redis is away') } },
        },
      ])
      expect(await statusOf(other, '/readyz')).toBe(200)
      expect(await healthOf(other)).toMatchObject({ status: 200, body: { status: 'ok' } })
      const first = sent.length + 1
      expect(await sendNumber(cut, first)).toMatchObject({ status: 202, body: { degraded: true } })
      await upTo(atCut, first)
      expect(await sendNumber(other, first + 1)).toMatchObject({ status: 200 })
      await upTo(atOther, first + 1)
      network.restore()
      await expect.poll(() => statusOf(cut, '/readyz'), LATER).toBe(200)
      expect(await sendNumber(other, first + 2)).toMatchObject({ status: 200 })
      sent.push(first, first + 1, first + 2)
      await Promise.all([upTo(atCut, first + 2), upTo(atOther, first + 2)])
    }
    for (const reader of [atCut, atOther]) {
      expect(numbersOf(reader).toSorted((one, another) => one - another)).toEqual(sent)
      expect(reader.events.filter(({ type }) => type === 'gap' || type === 'disconnected')).toEqual([])
    }
  })
})
