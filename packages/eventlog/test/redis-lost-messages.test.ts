import { RedisConnections } from '@tributary/redis'
import { startRedis, TcpProxy } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it, vi } from 'vitest'
import type { LogEntry } from '../src/index.ts'
import { RedisEventStore } from '../src/redis/index.ts'
import { dataOf, event, KEEP_ALL, numbersOf } from './log-fixture.ts'

const LIMIT_MS = 30_000
const LATER = { timeout: 10_000 }
const TOPICS = ['group:a', 'group:b']

/** A Redis that one node reaches through a bad network, and another without. */
async function world() {
  await using started = new AsyncDisposableStack()
  const redis = started.use(await startRedis())
  const network = started.use(await TcpProxy.start(redis.port))
  const open = async (port: number) => {
    const connections = await RedisConnections.open({ url: `redis://127.0.0.1:${port}`, timeoutMs: 1_000 })
    started.use(connections)
    return started.use(new RedisEventStore({ connections, prefix: 'lost' })).open('hub', KEEP_ALL)
  }
  const log = await open(redis.port)
  const far = await open(network.port)
  const following = far.follow(TOPICS)
  await following.ready
  const heard: LogEntry[] = []
  far.tail((entry) => heard.push(entry))
  const owned = started.move()
  return { redis, network, log, far, following, heard, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

describeWithRedisServers('a node whose messages are lost on the way', () => {
  it('misses nothing where its network is cut, or falls silent, again and again', {
    timeout: LIMIT_MS,
  }, async () => {
    await using nodes = await world()
    const { network, log, heard } = nodes
    let count = 0
    const append = async (topic: string) => {
      count += 1
      await log.append([event(count, topic)])
    }
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 5; i++) await append('group:a')
      if (round === 3) network.silence()
      else network.cut()
      for (let i = 0; i < 5; i++) await append(i % 2 === 0 ? 'group:b' : 'group:a')
      network.restore()
      await vi.waitFor(() => expect(heard).toHaveLength(count), LATER)
    }
    expect(numbersOf(heard)).toEqual(Array.from({ length: count }, (_, i) => i + 1))
  })

  it('takes what others say on its channels for no more than a hint', { timeout: LIMIT_MS }, async () => {
    await using nodes = await world()
    const { redis, log, heard } = nodes
    await log.append([event(1, 'group:a')])
    await vi.waitFor(() => expect(heard).toHaveLength(1), LATER)
    const life = String(await redis.run('HGET', 'lost:{hub}:meta', 'life'))
    const head = JSON.stringify({ type: 'false', source: 'false' })
    const garbage = [
      ...['', 'x', 'E', 'P 1', '{}', '\u0000', `D another`, `H ${life} 99999 1`, `E ${life} o.1 99999999\n`],
      `E another o.1 1\n2 9 0 0 ${head.length} 2 1\n${head}{}`,
      ...['abcdef', '{"a":1}{}', `${head.slice(0, -1)}x{}`].map(
        (text) => `E ${life} o.1 1\n2 9 0 0 ${text.length - 2} 2 1\n${text}`,
      ),
      ...[1, 9_999].map((missing) => `E ${life} o.1 1\n2 9 0 0 ${head.length} ${2 + missing} 1\n${head}{}`),
      ...['{"x":', 'null', '[1]', '{"a":1}'].map((json) => `A ${life} 1\n${json}`),
      `P other 1 1 3\nabcdef`,
    ]
    for (const text of garbage) {
      for (const channel of ['t:group:a', 'whole', 'hints']) {
        await redis.run('SPUBLISH', `lost:{hub}:${channel}`, text)
      }
    }
    await log.append([event(2, 'group:a')])
    await vi.waitFor(() => expect(dataOf(heard)).toEqual([1, 2]), LATER)
  })

  it('hands on what came while the server had ended its subscriptions behind its back', {
    timeout: LIMIT_MS,
  }, async () => {
    await using nodes = await world()
    const { network, log, heard } = nodes
    await log.append([event(1, 'group:a')])
    await vi.waitFor(() => expect(heard).toHaveLength(1), LATER)
    expect(network.say('SUNSUBSCRIBE\r\n', /ssubscribe/i)).toBe(1)
    for (const n of [2, 3, 4]) await log.append([event(n, n === 3 ? 'group:b' : 'group:a')])
    await vi.waitFor(() => expect(numbersOf(heard)).toEqual([1, 2, 3, 4]), LATER)
  })

  it('tells readers of a gap where what is lost was overtaken before that was seen', {
    timeout: LIMIT_MS,
  }, async () => {
    await using nodes = await world()
    const { network, log, far, heard } = nodes
    let rewinds = 0
    far.onRewind(() => {
      rewinds += 1
    })
    await log.append([event(1, 'group:a')])
    await vi.waitFor(() => expect(heard).toHaveLength(1), LATER)
    const before = far.head
    // One topic alone, and the others go on.
    expect(network.say('SUNSUBSCRIBE lost:{hub}:t:group:a\r\n', /ssubscribe/i)).toBe(1)
    await log.append([event('lost', 'group:a')])
    await log.append([event(3, 'group:b')])
    await vi.waitFor(() => expect(dataOf(heard)).toContain(3), LATER)
    expect(dataOf(heard)).toEqual([1, 3])
    const after = far.head
    await vi.waitFor(() => expect(rewinds).toBeGreaterThan(0), LATER)
    expect(await far.locate({ kind: 'event', ...after }, ['group:a'])).toMatchObject({ gap: 'overflow' })
    // Who was not sent what came later reads it, and who is not there for it misses nothing.
    expect(await far.locate({ kind: 'event', ...before }, ['group:a'])).toEqual({ after: before })
    expect(await far.locate({ kind: 'event', ...after }, ['group:b'])).toEqual({ after })
    expect(dataOf((await far.read(before.n, { topics: ['group:a'] })).entries)).toEqual(['lost'])
    await log.append([event(4, 'group:a')])
    await vi.waitFor(() => expect(dataOf(heard)).toEqual([1, 3, 4]), LATER)
  })

  it('answers who appended what nobody here follows any more', { timeout: LIMIT_MS }, async () => {
    await using nodes = await world()
    const { redis, network, log, far, following } = nodes
    expect(network.say('SUNSUBSCRIBE\r\n', /ssubscribe/i)).toBe(1)
    await vi.waitFor(async () => expect(await redis.run('PUBSUB', 'SHARDCHANNELS')).toEqual([]), LATER)
    const appended = far.append([event(1, 'group:a')])
    await vi.waitFor(async () => expect((await log.position()).last.n).toBe(1), LATER)
    // Answered on the same connection behind it.
    await far.position()
    following.end()
    expect(dataOf(await appended)).toEqual([1])
  })
})
