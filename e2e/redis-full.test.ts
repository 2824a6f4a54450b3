import { lastingPort, startRedis } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { startGateway, startWorker } from './processes.ts'
import { healthOf, numbersOf, readGroup, readinessOf, sendNumber, upTo } from './redis-outage.ts'

const LIMIT_MS = 120_000
const LATER = { timeout: 30_000 }
const FULL = 'Redis refuses writes: its memory is full: raise maxmemory, or keep less'

describeWithRedisServers('gateways and workers whose Redis has no room', () => {
  it('wait for it when they start with it, say so, and serve once it takes what they store', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis()
    await redis.run('CONFIG', 'SET', 'maxmemory', '1')
    const port = await lastingPort()
    const said: string[] = []
    // Connected, and then refused: as where it goes away before the gateway listens.
    const env = { REDIS_URL: redis.url, REDIS_TIMEOUT_MS: '500' }
    const starting = startGateway({ env, port, onLine: (line) => said.push(line) })
    const reason = expect.stringMatching(/^waiting for Redis: .*its memory is full/)
    const place = { url: `http://127.0.0.1:${port}` }
    await Promise.race([
      // Where it fails, that is the fault to tell.
      starting.then(() => Promise.reject(new Error('it serves without Redis'))),
      expect
        .poll(() => healthOf(place).catch(() => undefined), LATER)
        .toMatchObject({ status: 200, body: { status: 'degraded', components: { store: { reason } } } }),
    ])
    expect(said.filter((line) => line.includes('"msg":"waiting for Redis"'))).not.toEqual([])
    await redis.run('CONFIG', 'SET', 'maxmemory', '0')
    await using gateway = await starting
    await expect.poll(() => readinessOf(gateway), LATER).toMatchObject({ status: 200 })
  })

  it('say so, keep or refuse what is sent, and lose nothing', { timeout: LIMIT_MS }, async () => {
    await using redis = await startRedis()
    const env = { REDIS_URL: redis.url }
    await using gateway = await startGateway({ env })
    await using rejecting = await startGateway({ env: { ...env, REDIS_OUTAGE: 'reject' } })
    await using worker = await startWorker({ env })
    const services = [gateway, rejecting, worker]
    await using reader = await readGroup(gateway, 'alice')
    expect(await sendNumber(gateway, 1)).toMatchObject({ status: 200 })
    await upTo(reader, 1)

    await redis.run('CONFIG', 'SET', 'maxmemory', '1')
    for (const service of services) {
      const told = { status: 'degraded', components: { store: { status: 'degraded', reason: FULL } } }
      await expect.poll(() => healthOf(service), LATER).toMatchObject({ status: 200, body: told })
      expect(await readinessOf(service)).toMatchObject({
        status: 503,
        retryAfter: expect.stringMatching(/^[1-9]\d*$/),
        body: { code: 'store_unavailable', detail: expect.stringContaining('its memory is full') },
      })
    }
    expect(await sendNumber(gateway, 2)).toMatchObject({ status: 202, body: { degraded: true } })
    expect(await sendNumber(gateway, 3)).toMatchObject({ status: 202, body: { degraded: true } })
    expect(await sendNumber(rejecting, 4)).toMatchObject({
      status: 503,
      retryAfter: expect.stringMatching(/^[1-9]\d*$/),
      body: { code: 'store_unavailable', detail: expect.stringContaining('its memory is full') },
    })
    await upTo(reader, 3)
    expect(await healthOf(gateway)).toMatchObject({
      body: { components: { store: { reason: `${FULL}; 2 events wait here to be stored` } } },
    })
    // Who comes now is served from what is stored.
    await using late = await readGroup(rejecting, 'bob', '0')
    await upTo(late, 1)

    await redis.run('CONFIG', 'SET', 'maxmemory', '0')
    for (const service of services) {
      await expect.poll(() => readinessOf(service), LATER).toMatchObject({ status: 200 })
    }
    expect(await sendNumber(rejecting, 5)).toMatchObject({ status: 200 })
    await Promise.all([upTo(reader, 5), upTo(late, 5)])
    expect(numbersOf(reader)).toEqual([1, 2, 3, 5])
    expect(numbersOf(late)).toEqual([1, 2, 3, 5])
    for (const one of [reader, late]) {
      expect(one.events.filter(({ type }) => type === 'gap' || type === 'disconnected')).toEqual([])
    }
    await expect.poll(() => healthOf(gateway), LATER).toMatchObject({ body: { status: 'ok' } })
  })
})
