import { RedisConnections } from '@tributary/redis'
import { startRedis, startRedisWithSentinel, until } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, test } from 'vitest'
import { nextDown, nextUp } from './noticed.ts'

const KEYS = 300

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
