import { RedisConnections } from '@tributary/redis'
import { lastingPort, startRedis, startRedisWithSentinel, until } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, test } from 'vitest'
import { nextDown, nextUp, openNoticed } from './noticed.ts'

const KEYS = 300
const LATER = { timeout: 10_000 }

describeWithRedisServers('a server that refuses for now', () => {
  test('is waited for while it loads its data', async () => {
    const lines = ['key-load-delay 3000', 'loading-process-events-interval-bytes 1024']
    await using server = await startRedis({ persistent: true, lines })
    const fill = `for i = 1, ${KEYS} do redis.call('SET', 'k' .. i, string.rep('x', 100)) end`
    await server.run('EVAL', fill, 0)
    // As an image, whose loading can be slowed.
    await server.run('BGREWRITEAOF')
    await until('the image', async () =>
      String(await server.run('INFO', 'persistence')).includes('aof_rewrite_in_progress:0')
        ? true
        : undefined,
    )
    await using redis = await RedisConnections.open({ url: server.url })
    const isDown = nextDown(redis)
    await server.kill()
    await isDown
    const restarted = server.restart()
    await until('its loading', async () =>
      (await server.log()).split('Server initialized').length > 2 ? true : undefined,
    )
    // Nothing that a half-loaded server says is taken for an answer.
    await expect(redis.call((client) => client.get('k1'))).rejects.toMatchObject({ isUnsent: true })
    const isUp = nextUp(redis)
    await restarted
    await isUp
    expect(await redis.call((client) => client.dbsize())).toBe(KEYS)
  })

  test('is left for the master when it has become a replica', async () => {
    await using all = await startRedisWithSentinel()
    await using redis = await RedisConnections.open({ url: all.url })
    const [first, second] = all.servers
    // Behind the back of the Sentinels, and without the kill of the connections with which they do it.
    await first?.run('REPLICAOF', '127.0.0.1', second?.port ?? 0)
    const error = await redis.call((client) => client.set('key', 'value')).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ isUnsent: true, reason: expect.stringMatching(/replica/) })
    await until('a write', () => redis.call((client) => client.set('key', 'value')))
  })

  test('says that its memory is full', async () => {
    await using server = await startRedis({ lines: ['maxmemory 2mb', 'maxmemory-policy noeviction'] })
    await using redis = await RedisConnections.open({ url: server.url })
    const write = () => redis.call((client) => client.append('key', 'x'.repeat(500_000)))
    const fill = async () => {
      for (let i = 0; i < 10; i += 1) await write()
    }
    await expect(fill()).rejects.toMatchObject({
      code: 'store_unavailable',
      reason: expect.stringMatching(/raise maxmemory/),
    })
  })

  test('is known to refuse writes before anybody sends one, by its reason, and to take them again', async () => {
    await using server = await startRedis()
    const { redis, notices } = await openNoticed({ url: server.url })
    await using _ = redis
    const refusal = () => (redis.status.state === 'up' ? redis.status.refusesWrites : undefined)
    let ups = 0
    redis.onUp(() => (ups += 1))
    await server.run('CONFIG', 'SET', 'maxmemory', '1')
    await expect.poll(refusal, LATER).toBe('its memory is full: raise maxmemory, or keep less')
    // What it has can be read.
    expect(await redis.call((client) => client.get('key'))).toBeNull()
    await server.run('CONFIG', 'SET', 'maxmemory', '0')
    await expect.poll(refusal, LATER).toBeUndefined()
    await server.run('CONFIG', 'SET', 'min-replicas-to-write', '1')
    await expect.poll(refusal, LATER).toMatch(/^too few replicas/)
    await server.run('CONFIG', 'SET', 'min-replicas-to-write', '0')
    await expect.poll(() => ups, LATER).toBe(2)
    expect(
      notices.filter(({ message }) => message !== 'Redis is away').map(({ message }) => message),
    ).toEqual(expect.arrayContaining(['Redis refuses writes', 'Redis takes writes again']))
    expect(redis.status).not.toHaveProperty('refusesWrites')
  })

  test('is known to be a replica, and why nothing can be sent, for as long as it is one', async () => {
    await using server = await startRedis()
    await using redis = await RedisConnections.open({ url: server.url })
    const reason = () => (redis.status.state === 'down' ? redis.status.reason : undefined)
    await server.run('REPLICAOF', '127.0.0.1', await lastingPort())
    await expect.poll(reason, LATER).toMatch(/^the server is a replica/)
    let ups = 0
    redis.onUp(() => (ups += 1))
    const asked = async () =>
      Number(
        /cmdstat_eval:.*rejected_calls=(\d+)/.exec(String(await server.run('INFO', 'commandstats')))?.[1],
      )
    const before = await asked()
    await expect.poll(async () => (await asked()) - before, LATER).toBeGreaterThan(3)
    expect([ups, reason()]).toEqual([0, expect.stringMatching(/^the server is a replica/)])
    const isUp = nextUp(redis)
    await server.run('REPLICAOF', 'NO', 'ONE')
    await isUp
    expect(await redis.call((client) => client.set('key', 'value'))).toBe('OK')
  })

  test('is named when the Sentinels do not know the master', async () => {
    await using all = await startRedisWithSentinel()
    const reason = Promise.withResolvers<unknown>()
    const stop = new AbortController()
    const opening = RedisConnections.open({
      url: all.url.replace('/tributary', '/other'),
      signal: stop.signal,
      onNotice: ({ fields }) => reason.resolve(fields['reason']),
    })
    opening.catch(() => undefined)
    expect(await reason.promise).toBe('the Sentinels know no master of this name')
    stop.abort()
    await expect(opening).rejects.toThrow(/aborted/)
  })
})
