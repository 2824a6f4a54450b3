import { type EventCollector, lastingPort, startRedis } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { type ServiceProcess, startGateway, startWorker } from './processes.ts'
import { healthOf, numbersOf, readGroup, readinessOf, sendNumber, statusOf, upTo } from './redis-outage.ts'

const LIMIT_MS = 120_000
const LATER = { timeout: 30_000 }
/** Soon enough for a test to see several. */
const HEARTBEATS = { HEARTBEAT_MS: '1000' }

/** Resolves once each of them knows that Redis is away. */
async function knowThatItIsAway(...services: readonly ServiceProcess[]): Promise<void> {
  for (const service of services) {
    await expect
      .poll(() => healthOf(service), LATER)
      .toMatchObject({
        status: 200,
        body: {
          status: 'degraded',
          components: { store: { status: 'degraded', reason: expect.stringMatching(/^Redis is away: /) } },
        },
      })
  }
}

async function areReady(...services: readonly ServiceProcess[]): Promise<void> {
  for (const service of services) await expect.poll(() => statusOf(service, '/readyz'), LATER).toBe(200)
}

describeWithRedisServers('gateways and workers whose Redis is away', () => {
  it('wait for it when they start, say so, and serve as soon as it is there', {
    timeout: LIMIT_MS,
  }, async () => {
    const port = await lastingPort()
    const place = `redis://127.0.0.1:${port}`
    const ports = { gateway: await lastingPort(), worker: await lastingPort() }
    const said = { gateway: [] as string[], worker: [] as string[] }
    const env = { REDIS_URL: place }
    const starting = Promise.all([
      startGateway({ env, port: ports.gateway, onLine: (line) => said.gateway.push(line) }),
      startWorker({ env, port: ports.worker, onLine: (line) => said.worker.push(line) }),
    ])
    // Where one of them fails, that is the fault to tell.
    const waiting = (lines: readonly string[]) => lines.some((line) => line.includes('waiting for Redis'))
    await Promise.race([
      starting.then(() => Promise.reject(new Error('they serve without Redis'))),
      expect.poll(() => waiting(said.gateway) && waiting(said.worker), LATER).toBe(true),
    ])
    expect([...said.gateway, ...said.worker].join('\n')).toContain('ECONNREFUSED')
    for (const one of [ports.gateway, ports.worker].map((each) => ({ url: `http://127.0.0.1:${each}` }))) {
      const reason = expect.stringMatching(/^waiting for Redis: .*ECONNREFUSED/)
      await expect
        .poll(() => healthOf(one).catch(() => undefined), LATER)
        .toMatchObject({ status: 200, body: { status: 'degraded', components: { store: { reason } } } })
      const refused = {
        status: 503,
        retryAfter: '5',
        body: { code: 'not_ready', detail: expect.stringContaining('waiting for Redis') },
      }
      expect(await readinessOf(one)).toMatchObject(refused)
      expect(await sendNumber(one, 1)).toMatchObject(refused)
    }
    await using _redis = await startRedis({ port })
    const [gateway, worker] = await starting
    await using _gateway = gateway
    await using _worker = worker
    await areReady(gateway, worker)
    await using reader = await readGroup(gateway, 'alice')
    expect(await sendNumber(gateway, 1)).toMatchObject({ status: 200, body: { success: true } })
    await upTo(reader, 1)
  })

  it('deliver what is sent to readers here, and store it once it is back: in order, and to nobody twice', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis({ persistent: true })
    const env = { REDIS_URL: redis.url, ...HEARTBEATS }
    await using a = await startGateway({ env })
    await using b = await startGateway({ env })
    await using worker = await startWorker({ env })
    await using atA = await readGroup(a, 'alice')
    await using atB = await readGroup(b, 'alice')
    await using leaver = await readGroup(a, 'bob')
    for (const n of [1, 2]) expect(await sendNumber(n === 1 ? a : b, n)).toMatchObject({ status: 200 })
    await Promise.all([upTo(atA, 2), upTo(atB, 2), upTo(leaver, 2)])

    await redis.kill()
    await knowThatItIsAway(a, b, worker)
    for (const service of [a, b, worker]) {
      expect(await statusOf(service, '/readyz')).toBe(503)
    }
    expect((await fetch(`${a.url}/api/sse/health`)).status).toBe(200)
    expect(await (await fetch(`${a.url}/api/sse/health`)).json()).toMatchObject({
      status: expect.stringMatching(/degraded|failing/),
      connections: { total: 2, local: { total: 2 } },
      components: { store: { reason: expect.stringContaining('Redis is away') } },
    })
    const kept = { status: 202, body: { success: true, degraded: true, id: null } }
    for (let n = 3; n <= 12; n++) expect(await sendNumber(a, n)).toMatchObject(kept)
    for (let n = 103; n <= 112; n++) expect(await sendNumber(b, n)).toMatchObject(kept)
    // At once: Redis is still away.
    await Promise.all([upTo(atA, 12), upTo(leaver, 12), upTo(atB, 112)])
    const beats = [atA, atB].map((reader) => reader.ofType('heartbeat').length)
    await Promise.all([atA, atB].map((reader, i) => reader.waitForCount('heartbeat', (beats[i] ?? 0) + 2)))
    expect(await healthOf(a)).toMatchObject({
      body: { components: { store: { reason: expect.stringContaining('10 events wait here') } } },
    })
    // Who has all of A's, and goes on at B.
    const cursor = leaver.lastEventId ?? ''
    await leaver.close()

    await redis.restart()
    await areReady(a, b, worker)
    await using returned = await readGroup(b, 'bob', cursor)
    expect(await sendNumber(a, 200)).toMatchObject({ status: 200 })
    await Promise.all([upTo(atA, 200), upTo(atB, 200), upTo(returned, 200)])
    const ofA = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    const ofB = ofA.map((n) => n + 100)
    const sorted = (reader: EventCollector) => numbersOf(reader).toSorted((one, other) => one - other)
    for (const reader of [atA, atB]) {
      expect(sorted(reader)).toEqual([1, 2, ...ofA, ...ofB, 200])
      for (const sent of [ofA, ofB]) {
        expect(numbersOf(reader).filter((n) => sent.includes(n))).toEqual(sent)
      }
      expect(reader.events.filter(({ type }) => type === 'gap' || type === 'disconnected')).toEqual([])
    }
    expect(numbersOf(leaver)).toEqual([1, 2, ...ofA])
    expect(numbersOf(returned)).toEqual([...ofB, 200])
    expect(returned.ofType('gap')).toEqual([])
    // What is stored has one order, whoever reads it.
    await using whole = await readGroup(a, 'bob', '0')
    await using same = await readGroup(b, 'bob', '0')
    await Promise.all([upTo(whole, 200), upTo(same, 200)])
    expect(numbersOf(same)).toEqual(numbersOf(whole))
    expect(sorted(whole)).toEqual([1, 2, ...ofA, ...ofB, 200])
  })

  it('refuse with 503 and Retry-After what no longer fits, and all of it where nothing may wait', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis({ persistent: true })
    const env = { REDIS_URL: redis.url, ...HEARTBEATS }
    await using bounded = await startGateway({ env: { ...env, REDIS_OUTAGE_MAX_EVENTS: '3' } })
    await using small = await startGateway({ env: { ...env, REDIS_OUTAGE_MAX_BYTES: '10000' } })
    await using rejecting = await startGateway({ env: { ...env, REDIS_OUTAGE: 'reject' } })
    const gateways = [bounded, small, rejecting]
    const readers = await Promise.all(gateways.map((gateway) => readGroup(gateway, 'alice')))
    try {
      expect(await sendNumber(rejecting, 1)).toMatchObject({ status: 200 })
      await Promise.all(readers.map((reader) => upTo(reader, 1)))
      await redis.kill()
      await knowThatItIsAway(...gateways)
      const refused = {
        status: 503,
        retryAfter: expect.stringMatching(/^[1-9]\d*$/),
        body: { code: 'store_unavailable' },
      }
      for (const n of [2, 3, 4]) expect(await sendNumber(bounded, n)).toMatchObject({ status: 202 })
      expect(await sendNumber(bounded, 5)).toMatchObject(refused)
      expect(await sendNumber(small, 12, 'x'.repeat(6_000))).toMatchObject({ status: 202 })
      expect(await sendNumber(small, 13, 'x'.repeat(6_000))).toMatchObject(refused)
      expect(await sendNumber(rejecting, 14)).toMatchObject(refused)
      const beats = readers.map((reader) => reader.ofType('heartbeat').length)
      await Promise.all(readers.map((reader, i) => reader.waitForCount('heartbeat', (beats[i] ?? 0) + 2)))
      await redis.restart()
      await areReady(...gateways)
      expect(await sendNumber(rejecting, 20)).toMatchObject({ status: 200 })
      await Promise.all(readers.map((reader) => upTo(reader, 20)))
      for (const reader of readers) {
        expect(numbersOf(reader).toSorted((one, other) => one - other)).toEqual([1, 2, 3, 4, 12, 20])
        expect(reader.ofType('gap')).toEqual([])
      }
    } finally {
      await Promise.all(readers.map((reader) => reader.close()))
    }
  })
})
