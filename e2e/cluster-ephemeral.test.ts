import { EventCollector, startRedis } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { type ServiceProcess, startGateway } from './processes.ts'
import { parseScrape, scrapedValue } from './prometheus-text.ts'

const MANAGED = '/api/sse/managed'
const TOLD = { timeout: 20_000 }
const as = (user: string) => ({ authorization: `Bearer ${user}-token` })

async function open({ url }: ServiceProcess, path: string, user: string): Promise<EventCollector> {
  const reader = await EventCollector.open(url + MANAGED + path, { headers: as(user) })
  await reader.waitFor('connection')
  return reader
}

async function send({ url }: ServiceProcess, path: string, data: unknown, key?: string) {
  const response = await fetch(url + MANAGED + path, {
    method: 'POST',
    headers: {
      ...as('test'),
      'content-type': 'application/json',
      ...(key === undefined ? {} : { 'idempotency-key': key }),
    },
    body: JSON.stringify({ event: 'typing', data, ephemeral: true }),
  })
  return { status: response.status, body: await response.json() }
}

async function scrape({ url }: ServiceProcess) {
  const metrics = parseScrape(await (await fetch(`${url}/metrics`)).text())
  return (name: string, labels?: Readonly<Record<string, string>>) => scrapedValue(metrics, name, labels)
}

const typed = (reader: EventCollector) => reader.ofType('typing').map(({ data }) => data)

describeWithRedisServers('ephemeral events at two gateways', () => {
  it('reach the readers of both, once, while Redis is there, and what becomes of Redis is counted', async () => {
    await using redis = await startRedis({ persistent: true })
    const env = { REDIS_URL: redis.url, MAX_CONNECTIONS_PER_USER: '10' }
    await using a = await startGateway({ env })
    await using b = await startGateway({ env: { ...env, REDIS_OUTAGE: 'reject' } })
    await using here = await open(a, '/connect/group/g', 'alice')
    await using there = await open(b, '/connect?groups=g,h', 'alice')
    await using bob = await open(b, '/connect', 'bob')
    const answer = { success: true, id: null, delivered: 1 }
    expect(await send(a, '/broadcast/group/g', 1)).toEqual({ status: 200, body: answer })
    expect(await send(b, '/send/user/alice', 2)).toEqual({ status: 200, body: answer })
    expect(await send(a, '/broadcast', 3, 'key')).toEqual({ status: 200, body: answer })
    expect(await send(b, '/broadcast', 3, 'key')).toMatchObject({ body: { delivered: 0 } })
    await expect.poll(() => typed(bob), TOLD).toEqual([3])
    for (const reader of [here, there]) {
      await expect.poll(() => typed(reader).toSorted(), TOLD).toEqual([1, 2, 3])
      expect(reader.ofType('typing').every(({ id }) => id === undefined)).toBe(true)
    }
    let read = await scrape(b)
    expect(read('tributary_redis_state', { state: 'up' })).toBe(1)
    expect(read('tributary_redis_channels', { state: 'active' })).toBeGreaterThan(5)
    expect(read('tributary_redis_answer_seconds_count')).toBeGreaterThan(5)

    await redis.kill()
    for (const gateway of [a, b]) {
      const isDown = async () => (await scrape(gateway))('tributary_redis_state', { state: 'down' })
      await expect.poll(isDown, TOLD).toBe(1)
    }
    expect(await send(a, '/broadcast', 'away')).toEqual({
      status: 202,
      body: { ...answer, degraded: true },
    })
    expect(await send(b, '/broadcast', 'refused')).toMatchObject({
      status: 503,
      body: { code: 'store_unavailable' },
    })
    await redis.restart()
    const seen = async () => {
      await send(a, '/broadcast', 'back')
      return [...new Set(typed(there))]
    }
    await expect.poll(seen, TOLD).toEqual(expect.arrayContaining(['back']))
    expect(typed(there)).not.toContain('away')
    expect([...typed(here), ...typed(there), ...typed(bob)]).not.toContain('refused')
    expect(typed(here)).toContain('away')
    // What it follows comes by another connection than its commands go by: either is back first.
    const isUp = async () => {
      read = await scrape(b)
      return read('tributary_redis_state', { state: 'up' })
    }
    await expect.poll(isUp, TOLD).toBe(1)
    expect(read('tributary_redis_outages_total')).toBeGreaterThan(0)
    expect(read('tributary_redis_reconnects_total', { connection: 'subscriber' })).toBeGreaterThan(0)
    expect(read('tributary_redis_interruptions_total')).toBeGreaterThan(5)
  }, 60_000)
})
