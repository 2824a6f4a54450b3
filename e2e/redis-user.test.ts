import { documentedUser, EventCollector, startRedis, until } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { startGateway, startWorker } from './processes.ts'

const ALICE = { authorization: 'Bearer alice-token' }
const ADMIN = { authorization: 'Bearer test-token' }

describeWithRedisServers('a cluster whose user of Redis is the one of docs/redis.md', () => {
  it('does all that it does, and has no key or channel outside of its prefix', async () => {
    await using redis = await startRedis({ lines: [documentedUser()] })
    const env = {
      REDIS_URL: `redis://tributary:secret@127.0.0.1:${redis.port}`,
      MAX_CONNECTIONS_PER_USER: '5',
      RATE_LIMIT_PUBLISHES: '1000',
      MAX_RUNS_PER_USER: '10',
    }
    await using worker = await startWorker({ env })
    await using gateway = await startGateway({ env, workers: [worker] })
    const managed = `${gateway.url}/api/sse/managed`
    await using reader = await EventCollector.open(`${managed}/connect/group/chat`, { headers: ALICE })
    const send = await fetch(`${managed}/broadcast/group/chat`, {
      method: 'POST',
      headers: { ...ADMIN, 'content-type': 'application/json', 'idempotency-key': 'one' },
      body: JSON.stringify({ event: 'hello', data: 1 }),
    })
    expect(send.status).toBe(200)
    await reader.waitFor((event) => event.type === 'hello')
    const started = await fetch(`${gateway.url}/api/sse-proxy/reactive/parallel-tasks/sse-emitter`, {
      method: 'POST',
      headers: { ...ALICE, 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ tasks: ['a', 'b'] }),
    })
    expect(await started.text()).toMatch(/event: complete/)
    for (const path of ['status', 'connections']) {
      expect((await fetch(`${managed}/${path}`, { headers: ADMIN })).status).toBe(200)
    }
    const keys = await redis.run('KEYS', '*')
    expect(Array.isArray(keys) && keys.length).toBeGreaterThan(0)
    expect([keys].flat().filter((key) => !String(key).startsWith('tributary:'))).toEqual([])
    await until('the channels', async () => {
      const channels = [await redis.run('PUBSUB', 'SHARDCHANNELS')].flat()
      return channels.length > 0 && channels.every((name) => String(name).startsWith('tributary:'))
        ? true
        : undefined
    })
    // What was refused, of which a fallback may have hidden the rest.
    expect(await redis.run('ACL', 'LOG')).toEqual([])
  })
})
