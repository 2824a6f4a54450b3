import { once } from 'node:events'
import { createServer } from 'node:net'
import { ProblemError } from '@tributary/protocol'
import { defineScript, RedisConnections, RedisReplyError, RedisUnavailableError } from '@tributary/redis'
import { documentedUser, FakeClock, lastingPort, startRedis } from '@tributary/testkit'
import { describeWithRedis, describeWithRedisServers } from '@tributary/testkit/vitest'
import { Redis } from 'ioredis'
import Type from 'typebox'
import { expect, onTestFinished, test } from 'vitest'
import { nextDown, nextInterruption, nextUp, openNoticed } from './noticed.ts'
import { openProxied } from './proxied-redis.ts'

const file = new URL('./scripts/add.lua', import.meta.url)
const ADD = defineScript({ name: 'add', file, answer: Type.Tuple([Type.Integer(), Type.String()]) })
const WRONG = defineScript({ name: 'wrong', file, answer: Type.Tuple([Type.String()]) })

describeWithRedis('RedisConnections', (server) => {
  test('send commands, and read their answers in the shapes that both protocols have', async () => {
    const key = server.prefix()
    await using redis = await RedisConnections.open({ url: server.url })
    await redis.call((client) => client.hset(key, 'a', '1', 'b', '2'))
    expect(await redis.call((client) => client.hgetall(key))).toEqual({ a: '1', b: '2' })
    await redis.call((client) => client.xadd(`${key}:s`, '1-1', 'field', 'value'))
    expect(await redis.call((client) => client.xrange(`${key}:s`, '-', '+'))).toEqual([
      ['1-1', ['field', 'value']],
    ])
    expect(await redis.call((client) => client.zadd(`${key}:z`, '1.5', 'm'))).toBe(1)
    expect(await redis.call((client) => client.zrange(`${key}:z`, '0', '-1', 'WITHSCORES'))).toEqual([
      'm',
      '1.5',
    ])
    // What ioredis makes nothing of comes as flat lists, as in RESP2.
    expect(await redis.call((client) => client.call('HGETALL', key))).toEqual(['a', '1', 'b', '2'])
  })

  test('run scripts, whose answers are as their schema says', async () => {
    const key = server.prefix()
    await using redis = await RedisConnections.open({ url: server.url })
    expect(await redis.run(ADD, [key], [2])).toEqual([2, 'string'])
    await redis.call((client) => client.script('FLUSH'))
    expect(await redis.run(ADD, [key], [3])).toEqual([5, 'string'])
    await expect(redis.run(WRONG, [key], [1])).rejects.toThrow(/the script wrong answered \[6,"string"\]/)
  })

  test('pass on what the server says of a mistake of ours, which is for no answer to a request', async () => {
    const key = server.prefix()
    await using redis = await RedisConnections.open({ url: server.url })
    await redis.call((client) => client.set(key, 'text'))
    const error = await redis.run(ADD, [key], [1], { again: true }).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(RedisReplyError)
    expect(error).toMatchObject({ kind: 'ERR' })
    expect(error).not.toBeInstanceOf(ProblemError)
    await expect(redis.call((client) => client.lpush(key, 'x'))).rejects.toMatchObject({ kind: 'WRONGTYPE' })
  })
})

describeWithRedisServers('RedisConnections, of a server that comes and goes,', () => {
  test('wait for a Redis that is not there yet, and say so', async () => {
    const port = await lastingPort()
    const notices: string[] = []
    const { promise: isWaiting, resolve } = Promise.withResolvers<void>()
    const opening = RedisConnections.open({
      url: `redis://127.0.0.1:${port}`,
      onNotice: ({ message, fields }) => {
        notices.push(`${message} ${fields['reason']}`)
        resolve()
      },
    })
    await isWaiting
    await using server = await startRedis({ port })
    await using redis = await opening
    expect(notices[0]).toBe(`waiting for Redis connect ECONNREFUSED 127.0.0.1:${port}`)
    expect(await redis.call((client) => client.ping())).toBe('PONG')
    expect(server.port).toBe(port)
  })

  test('say what they wait for once, and then each minute, however often they try', async () => {
    let tries = 0
    const closing = createServer((socket) => {
      tries += 1
      socket.destroy()
    })
    const ports = [closing, createServer((socket) => socket.destroy())].map(async (server) => {
      await once(server.listen(0, '127.0.0.1'), 'listening')
      onTestFinished(() => void server.close())
      const address = server.address()
      return typeof address === 'object' ? address?.port : undefined
    })
    const [first, second] = await Promise.all(ports)
    const clock = new FakeClock()
    const stop = new AbortController()
    const reasons: unknown[] = []
    const opening = RedisConnections.open({
      url: `redis+sentinel://127.0.0.1:${first},127.0.0.1:${second}/main`,
      clock,
      signal: stop.signal,
      onNotice: ({ fields }) => reasons.push(fields['reason']),
    })
    const told = expect.stringMatching(/^the connection is cut off without a word/)
    await expect.poll(() => tries, { timeout: 20_000 }).toBeGreaterThan(5)
    expect(reasons).toEqual([told])
    clock.advance(60_000)
    await expect.poll(() => reasons, { timeout: 20_000 }).toEqual([told, told])
    stop.abort()
    await expect(opening).rejects.toThrow(/aborted/)
  })

  test('stop waiting when they are told to', async () => {
    const stop = new AbortController()
    const url = `redis://127.0.0.1:${await lastingPort()}`
    const opening = RedisConnections.open({ url, signal: stop.signal, onNotice: () => stop.abort() })
    await expect(opening).rejects.toThrow(/aborted/)
  })

  test('fail at once while Redis is away, say why, and come back', async () => {
    await using server = await startRedis()
    const { redis, messages } = await openNoticed({ url: server.url })
    await using _ = redis
    const isDown = nextDown(redis)
    await server.kill()
    await isDown
    const error = await redis.call((client) => client.incr('n')).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(RedisUnavailableError)
    expect(error).toMatchObject({ code: 'store_unavailable', isUnsent: true, retryAfterS: 5 })
    const isUp = nextUp(redis)
    await server.restart()
    await isUp
    expect(redis.status.state).toBe('up')
    expect(await redis.call((client) => client.incr('n'))).toBe(1)
    expect(messages()).toEqual(expect.arrayContaining(['Redis is away', 'Redis is back']))
  })

  test('send together, at its end, what is asked for in one turn of the event loop', async () => {
    await using server = await startRedis()
    await using redis = await RedisConnections.open({ url: server.url })
    const waiting: number[] = []
    const answers = [1, 2, 3].map(() =>
      redis.call((client) => {
        const answer = client.incr('n')
        if (client instanceof Redis) waiting.push(client.stream.writableLength)
        return answer
      }),
    )
    const [one = 0] = waiting
    expect(one).toBeGreaterThan(0)
    expect(waiting).toEqual([one, 2 * one, 3 * one])
    expect(await Promise.all(answers)).toEqual([1, 2, 3])
  })

  test('have it counted how long answers take, and which connections are made anew', async () => {
    await using server = await startRedis()
    const reconnected: string[] = []
    const tookMs: number[] = []
    const meter = {
      reconnected: (kind: string) => void reconnected.push(kind),
      answered: (ms: number) => void tookMs.push(ms),
    }
    await using redis = await RedisConnections.open({ url: server.url, meter })
    await redis.subscriptions.subscribe('channel', () => undefined).ready
    const blocking = redis.createBlocking('test')
    await blocking.ping()
    expect([reconnected, tookMs]).toEqual([[], []])
    await redis.call((client) => client.incr('n'))
    expect(tookMs).toEqual([expect.any(Number)])
    const isBack = nextInterruption(redis)
    await server.kill()
    await expect(redis.call((client) => client.incr('n'))).rejects.toThrow(RedisUnavailableError)
    expect(tookMs).toHaveLength(1)
    await server.restart()
    await isBack
    await expect.poll(() => new Set(reconnected)).toEqual(new Set(['commands', 'subscriber', 'blocking']))
  })

  test('try again over a restart what may be done twice', async () => {
    await using server = await startRedis({ persistent: true })
    await using redis = await RedisConnections.open({ url: server.url })
    const isDown = nextDown(redis)
    await server.kill()
    await isDown
    const [, answer] = await Promise.all([
      server.restart(),
      redis.call((client) => client.set('key', 'value'), { again: true }),
    ])
    expect(answer).toBe('OK')
  })

  test('give up a server that takes all and answers nothing', async () => {
    await using all = await openProxied({ timeoutMs: 300 })
    const { proxy, redis } = all
    const isDown = nextDown(redis)
    proxy.silence()
    await isDown
    const isUp = nextUp(redis)
    proxy.restore()
    await isUp
    expect(await redis.call((client) => client.ping())).toBe('PONG')
  })

  test.each([
    ['requirepass secret', '', /refuses: NOAUTH/],
    ['requirepass secret', ':wrong@', /refuses: WRONGPASS/],
    ['user app on >pw ~* -@all +ping +hello', 'app:pw@', /refuses: NOPERM/],
  ])('say clearly that a login is refused: %s', async (line, login, message) => {
    await using server = await startRedis({ lines: [line] })
    const opening = RedisConnections.open({ url: `redis://${login}127.0.0.1:${server.port}` })
    await expect(opening).rejects.toThrow(message)
  })

  test.each([
    ['-@scripting', /refuses: NOPERM .*'eval/],
    ['-ssubscribe', /refuses: NOPERM .*'ssubscribe'/],
    ['-spublish', /refuses: NOPERM .*'spublish'/],
    ['-evalsha', /refuses: NOPERM .*'evalsha'/],
    ['-bzpopmin', /refuses: NOPERM .*'bzpopmin'/],
    ['-zincrby', /refuses: NOPERM .*in a script: ZINCRBY/],
    ['-time -@stream', /refuses: NOPERM .*in a script: TIME, .*XADD/],
    ['resetkeys ~other:*', /refuses: NOPERM .*keys .*allow it ~tributary:\* &tributary:\*/],
    ['resetchannels &other:*', /refuses: NOPERM .*channels/],
  ])('say before anything is done what the user of docs/redis.md lacks with %s', async (rules, message) => {
    await using server = await startRedis({ lines: [`${documentedUser()} ${rules}`] })
    const opening = RedisConnections.open({ url: `redis://tributary:secret@127.0.0.1:${server.port}` })
    await expect(opening).rejects.toThrow(message)
  })

  test.each([
    ['INFO', /refuses: ERR unknown command 'info'$/i],
    ['EVALSHA', /refuses: ERR unknown command 'evalsha'$/i],
    ['XADD', /refuses: .*rename-command.* in a script: XADD/],
  ])('say before anything is done that the server has no %s', async (command, message) => {
    await using server = await startRedis({ lines: [`rename-command ${command} ""`] })
    const opening = RedisConnections.open({ url: server.url })
    await expect(opening).rejects.toThrow(message)
  })

  test('end where a single server is named and it is one of a Cluster', async () => {
    await using server = await startRedis({ lines: ['cluster-enabled yes'] })
    const opening = RedisConnections.open({ url: server.url })
    await expect(opening).rejects.toThrow(/one of a Cluster: write redis\+cluster:/)
  })

  test('wait for a master where the server is a replica, and for a Redis where there is none, and say so', async () => {
    await using master = await startRedis()
    await using replica = await startRedis({ lines: [`replicaof 127.0.0.1 ${master.port}`] })
    await using owned = new AsyncDisposableStack()
    const stranger = createServer((socket) =>
      socket.on('error', () => undefined).write('HTTP/1.1 400 no\r\n'),
    )
    owned.defer(() => void stranger.close())
    await once(stranger.listen(0, '127.0.0.1'), 'listening')
    const address = stranger.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    for (const [url, reason] of [
      [`redis://127.0.0.1:${port}`, /no Redis/],
      [replica.url, /is a replica/],
    ] as const) {
      const told = Promise.withResolvers<unknown>()
      const stop = new AbortController()
      const opening = RedisConnections.open({
        url,
        signal: stop.signal,
        onNotice: ({ fields }) => told.resolve(fields['reason']),
      })
      opening.catch(() => undefined)
      expect(await told.promise).toMatch(reason)
      if (url !== replica.url) stop.abort()
      else {
        await replica.run('REPLICAOF', 'NO', 'ONE')
        await using redis = await opening
        expect(await redis.call((client) => client.ping())).toBe('PONG')
      }
    }
  })

  test('end where a Cluster is named and the server is none', async () => {
    await using server = await startRedis()
    const opening = RedisConnections.open({ url: `redis+cluster://127.0.0.1:${server.port}` })
    await expect(opening).rejects.toThrow(/cluster support disabled/)
  })

  test('refuse a database that the server has not, rather than use another', async () => {
    await using server = await startRedis({ lines: ['databases 2'] })
    const opening = RedisConnections.open({ url: `${server.url}/5` })
    await expect(opening).rejects.toThrow(/refuses: ERR DB index is out of range/)
  })

  test('say what of the server should be set up otherwise', async () => {
    await using careless = await startRedis({ lines: ['maxmemory 50mb', 'maxmemory-policy allkeys-lru'] })
    const first = await openNoticed({ url: careless.url })
    await using _ = first.redis
    expect(first.messages()).toEqual([
      expect.stringMatching(/set maxmemory-policy to noeviction/),
      expect.stringMatching(/loses all when it restarts: set appendonly to yes/),
    ])
    await using careful = await startRedis({ persistent: true, lines: ['maxmemory 50mb'] })
    const second = await openNoticed({ url: careful.url })
    await using __ = second.redis
    expect(second.notices).toEqual([])
  })
})
