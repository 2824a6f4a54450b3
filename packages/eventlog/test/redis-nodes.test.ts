import { RedisConnections } from '@tributary/redis'
import { type RedisServer, startRedis } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { describe, expect, it, vi } from 'vitest'
import type { EventLog, LogEntry } from '../src/index.ts'
import { RedisEventStore, type RedisEventStoreOptions } from '../src/redis/index.ts'
import { dataOf, event, KEEP_ALL, numbersOf, readAll } from './log-fixture.ts'

const LIMIT_MS = 20_000

/** A node: connections and a store of its own. */
async function node(url: string, options: Partial<RedisEventStoreOptions> = {}) {
  const connections = await RedisConnections.open({ url, timeoutMs: 2_000 })
  const store = new RedisEventStore({ connections, prefix: 'nodes', ...options })
  return {
    store,
    connections,
    async [Symbol.asyncDispose]() {
      await store.close()
      await connections[Symbol.asyncDispose]()
    },
  }
}

/** What a node hears of its log. */
async function hearing(store: RedisEventStore, topics?: readonly string[], name = 'hub') {
  const log = await store.open(name, KEEP_ALL)
  await log.follow(topics).ready
  const heard: LogEntry[] = []
  log.tail((entry) => heard.push(entry))
  return { log, heard }
}

/** How often each command was called since the last call, those within scripts included. */
async function commandCounts(redis: RedisServer): Promise<Record<string, number>> {
  const info = String(await redis.run('INFO', 'commandstats'))
  await redis.run('CONFIG', 'RESETSTAT')
  const matches = info.matchAll(/cmdstat_([\w|]+):calls=(\d+)/g)
  return Object.fromEntries([...matches].map(([, name = '', calls]) => [name, Number(calls)]))
}

function appendAll(log: EventLog, name: string, count: number, ...to: string[]): Promise<unknown> {
  return Promise.all(Array.from({ length: count }, (_, i) => log.append([event(`${name}${i}`, ...to)])))
}

describeWithRedisServers('two nodes on one Redis', () => {
  it('read on behind an entry that somebody wrote by hand, which counts as lost', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis()
    await using a = await node(redis.url)
    const log = await a.store.open('hub', KEEP_ALL)
    for (const n of [1, 2]) await log.append([event(n, 'group:a')])
    const stream = 'nodes:{hub}:s:group:a'
    const { ms } = log.head
    await redis.run('XADD', stream, `3-${ms}`, 'h', 'garbage', 'd', '{}')
    await redis.run('XADD', stream, `4-${ms}`, 'h', '{"type":"t","source":"s"}', 'd', '{"a":')
    await redis.run('HSET', 'nodes:{hub}:meta', 'n', '4')
    // Another that has nothing of it in memory.
    const errors: unknown[] = []
    await using b = await node(redis.url, { onError: (error) => errors.push(error) })
    const other = await b.store.open('hub', KEEP_ALL)
    await other.append([event(5, 'group:a')])
    const options = { topics: ['group:a'] }
    const first = await other.read(0, options)
    expect([numbersOf(first.entries), first.hasMore, first.lostUpTo]).toEqual([[1, 2], true, undefined])
    const second = await other.read(2, options)
    expect([numbersOf(second.entries), second.hasMore, second.lostUpTo?.n]).toEqual([[5], false, 4])
    expect(errors.map(String)).toEqual([expect.stringMatching(/3-\d+ of hub .*none of ours/)])
  })

  describe('that both append', () => {
    it('hear everything once, in one order, and each resolves once it has', {
      timeout: LIMIT_MS,
    }, async () => {
      await using redis = await startRedis()
      await using a = await node(redis.url)
      await using b = await node(redis.url)
      const topics = ['group:a', 'group:b', 'user:u']
      const [one, two] = [await hearing(a.store, topics), await hearing(b.store, topics)]
      for (let round = 0; round < 20; round++) {
        await Promise.all([
          appendAll(one.log, `a${round}.`, 20, 'group:a'),
          appendAll(two.log, `b${round}.`, 20, 'group:b', 'user:u'),
          appendAll(two.log, `c${round}.`, 5, 'user:u'),
        ])
      }
      await vi.waitFor(() => expect([one.heard.length, two.heard.length]).toEqual([900, 900]))
      expect(numbersOf(one.heard)).toEqual(Array.from({ length: 900 }, (_, i) => i + 1))
      expect(two.heard.map(({ event: { id, json } }) => id + json)).toEqual(
        one.heard.map(({ event: { id, json } }) => id + json),
      )
      const mine = (name: string) => dataOf(one.heard).filter((data) => String(data).startsWith(name))
      expect(mine('a3.')).toEqual(Array.from({ length: 20 }, (_, i) => `a3.${i}`))
    })

    it('hear only of what they follow, and from when they do', async () => {
      await using redis = await startRedis()
      await using a = await node(redis.url)
      await using b = await node(redis.url)
      const one = await hearing(a.store, ['group:a'])
      const two = await hearing(b.store, ['group:b'])
      await one.log.append([event(1, 'group:a'), event(2, 'group:b'), event(3, 'group:a', 'group:b')])
      await vi.waitFor(() => expect(dataOf(two.heard)).toEqual([2, 3]))
      expect(dataOf(one.heard)).toEqual([1, 3])
      const following = two.log.follow(['group:a'])
      await following.ready
      await one.log.append([event(4, 'group:a')])
      await vi.waitFor(() => expect(dataOf(two.heard)).toEqual([2, 3, 4]))
      following.end()
      await one.log.append([event(5, 'group:a'), event(6, 'group:b')])
      await vi.waitFor(() => expect(dataOf(two.heard)).toEqual([2, 3, 4, 6]))
      expect(two.log.head.n).toBe(6)
    })

    it('hear of what is under more topics than are told one by one', async () => {
      await using redis = await startRedis()
      await using a = await node(redis.url)
      await using b = await node(redis.url)
      const two = await hearing(b.store, ['user:u7'])
      const log = await a.store.open('hub', KEEP_ALL)
      await log.append([event(1, ...Array.from({ length: 100 }, (_, i) => `user:u${i}`))])
      await log.append([event(2, 'user:u7')])
      await vi.waitFor(() => expect(dataOf(two.heard)).toEqual([1, 2]))
      expect(dataOf(await readAll(log, 0, { topics: ['user:u99'] }))).toEqual([1])
    })

    it('hear of the attributes and of the end of a run that the other executes, in their order', async () => {
      await using redis = await startRedis()
      await using a = await node(redis.url)
      await using b = await node(redis.url)
      const own = await a.store.open('run:1', { ...KEEP_ALL, runId: '1', attributes: { state: 'new' } })
      const { log, heard } = await hearing(b.store, undefined, 'run:1')
      expect(log.idOf(log.head)).toMatch(/^1\./)
      const states: unknown[] = []
      log.onAttributes(() => states.push(log.attributes.get('state')))
      await own.append([event(1), event(2)], { attributes: { state: 'half' }, epoch: 1 })
      await own.close(event('end'), { attributes: { state: 'done' }, epoch: 1 })
      await vi.waitFor(() => expect(log.closed).toBe(true))
      expect(dataOf(heard)).toEqual([1, 2, 'end'])
      expect(states).toEqual(['half', 'done'])
      await expect(log.append([event('late')])).rejects.toMatchObject({ code: 'log_closed' })
    })

    it('refuse an executor that was overtaken on the other', async () => {
      await using redis = await startRedis()
      await using a = await node(redis.url)
      await using b = await node(redis.url)
      const first = await a.store.open('run:1', { ...KEEP_ALL, runId: '1' })
      const second = await b.store.open('run:1', { ...KEEP_ALL, runId: '1' })
      await first.append([event(1)], { epoch: 1 })
      await second.append([], { epoch: 2 })
      await expect(first.append([event(2)], { epoch: 1 })).rejects.toMatchObject({ code: 'stale_epoch' })
      expect(dataOf(await readAll(second))).toEqual([1])
    })

    it('begin anew with a log that the other has dropped', async () => {
      await using redis = await startRedis()
      await using a = await node(redis.url)
      await using b = await node(redis.url)
      const one = await hearing(a.store, undefined, 'run:1')
      await b.store.open('run:1', KEEP_ALL)
      await b.store.drop('run:1')
      await vi.waitFor(async () =>
        expect(one.log.append([event(1)])).rejects.toMatchObject({ code: 'log_closed' }),
      )
      expect(await b.store.list()).toEqual([])
    })
  })

  describe('whose messages are lost', () => {
    it('miss nothing where the server ends the subscriber again and again', {
      timeout: LIMIT_MS,
    }, async () => {
      await using redis = await startRedis()
      await using a = await node(redis.url)
      await using b = await node(redis.url)
      const topics = ['group:a', 'group:b']
      const { heard } = await hearing(b.store, topics)
      const log = await a.store.open('hub', KEEP_ALL)
      for (let round = 0; round < 15; round++) {
        const appended = [
          appendAll(log, `a${round}.`, 20, 'group:a'),
          appendAll(log, `b${round}.`, 20, 'group:b'),
        ]
        await redis.run('CLIENT', 'KILL', 'TYPE', 'pubsub')
        await Promise.all(appended)
      }
      await vi.waitFor(() => expect(heard.length).toBe(600), 10_000)
      expect(numbersOf(heard)).toEqual(Array.from({ length: 600 }, (_, i) => i + 1))
    })

    it('miss nothing where their subscriptions are ended behind their backs', {
      timeout: LIMIT_MS,
    }, async () => {
      await using redis = await startRedis()
      await using a = await node(redis.url)
      await using b = await node(redis.url, { syncIntervalMs: 50 })
      const { heard, log: other } = await hearing(b.store, ['group:a'])
      const log = await a.store.open('hub', KEEP_ALL)
      await log.append([event(1, 'group:a')])
      await vi.waitFor(() => expect(heard).toHaveLength(1))
      // As where a message is lost on the way: nothing says so.
      await redis.run('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 1 1 0')
      await log.append([event('x'.repeat(100_000), 'group:a'), event(3, 'group:a')])
      await redis.run('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 32mb 8mb 60')
      await log.append([event(4, 'group:a')])
      await vi.waitFor(() => expect(numbersOf(heard)).toEqual([1, 2, 3, 4]), 5_000)
      expect(other.head.n).toBe(4)
    })

    it('miss nothing over a restart of a Redis that keeps what it has', { timeout: LIMIT_MS }, async () => {
      await using redis = await startRedis({ persistent: true })
      await using a = await node(redis.url)
      await using b = await node(redis.url)
      const { heard } = await hearing(b.store, ['group:a'])
      const log = await a.store.open('hub', KEEP_ALL)
      const acknowledged: unknown[] = []
      let isOver = false
      const publishing = (async () => {
        for (let i = 0; !isOver; i++) {
          const [entry] = await log.append([event(i, 'group:a')]).catch(() => [])
          if (entry !== undefined) acknowledged.push(i)
          else await vi.waitFor(() => expect(a.connections.status.state).toBe('up'), 10_000)
        }
      })()
      await vi.waitFor(() => expect(acknowledged.length).toBeGreaterThan(20))
      await redis.kill()
      await redis.restart()
      const before = acknowledged.length
      await vi.waitFor(() => expect(acknowledged.length).toBeGreaterThan(before + 20), 10_000)
      isOver = true
      await publishing
      await vi.waitFor(() => expect(numbersOf(heard).at(-1)).toBe(log.head.n), 5_000)
      expect(numbersOf(heard)).toEqual(Array.from({ length: heard.length }, (_, i) => i + 1))
      const got = dataOf(heard)
      expect(acknowledged.filter((i) => got.filter((data) => data === i).length !== 1)).toEqual([])
    })
  })

  describe('whose log is not the one they knew', () => {
    it('tell it where Redis lost everything, and go on with a new one', { timeout: LIMIT_MS }, async () => {
      await using redis = await startRedis()
      await using a = await node(redis.url, { syncIntervalMs: 100 })
      const { log, heard } = await hearing(a.store, ['group:a'])
      const [, last] = await log.append([event(1, 'group:a'), event(2, 'group:a')])
      const rewinds: number[] = []
      log.onRewind(() => rewinds.push(log.head.n))
      // Who began late hears of what gets lower numbers, too.
      const heardLate: LogEntry[] = []
      log.tail((entry) => heardLate.push(entry))
      await redis.run('FLUSHALL')
      await vi.waitFor(() => expect(rewinds).toEqual([2]), 5_000)
      const { ms = 0, n = 0 } = last?.position ?? {}
      expect(await log.locate({ kind: 'event', ms, n }, ['group:a'])).toMatchObject({ gap: 'log_lost' })
      await log.append([event('new', 'group:a')])
      expect(dataOf(heard)).toEqual([1, 2, 'new'])
      expect(dataOf(heardLate)).toEqual(['new'])
      expect(log.head.n).toBe(1)
    })

    it('tell it where acknowledged entries are gone and others stand behind their numbers', async () => {
      await using redis = await startRedis()
      await using a = await node(redis.url, { syncIntervalMs: 100_000 })
      await using b = await node(redis.url, { syncIntervalMs: 100_000 })
      const { log } = await hearing(a.store, ['group:a'])
      const other = await b.store.open('hub', KEEP_ALL)
      await log.append([event(1, 'group:a')])
      const before = await Promise.all(
        ['meta', 'topics', 'trail', 's:group:a'].map(async (key) => {
          const client = redis.client()
          const name = `nodes:{hub}:${key}`
          const dump = await client.dumpBuffer(name)
          client.disconnect()
          return { name, dump }
        }),
      )
      await log.append([event('lost', 'group:a')])
      const position = log.head
      // What a failover to a replica that lags behind comes to.
      const client = redis.client()
      for (const { name, dump } of before) await client.restore(name, 0, dump ?? '', 'REPLACE')
      client.disconnect()
      let rewound = 0
      log.onRewind(() => {
        rewound += 1
      })
      await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(position.ms + 1))
      await other.append([event('other', 'group:a')])
      await log.follow(['group:a']).ready
      await vi.waitFor(() => expect(rewound).toBe(1))
      expect(await log.locate({ kind: 'event', ...position }, ['group:a'])).toMatchObject({ gap: 'log_lost' })
    })
  })

  describe('cost Redis', () => {
    it('one call a publish, and one round trip a comparison whatever is followed', async () => {
      await using redis = await startRedis()
      await using a = await node(redis.url, { syncIntervalMs: 1_000_000 })
      await using b = await node(redis.url, { syncIntervalMs: 1_000_000 })
      const groups = Array.from({ length: 100 }, (_, i) => `group:${i}`)
      const [one, two] = [await hearing(a.store, groups), await hearing(b.store, groups)]
      await one.log.append([event(0, 'group:0')])
      await vi.waitFor(() => expect(two.heard).toHaveLength(1))
      await commandCounts(redis)
      for (let i = 1; i <= 50; i++) await one.log.append([event(i, `group:${i}`)])
      await vi.waitFor(() => expect(two.heard).toHaveLength(51))
      const { evalsha, spublish, ...others } = await commandCounts(redis)
      expect([evalsha, spublish]).toEqual([50, 100])
      // Those are of the script, and of this test.
      const scripts = ['hmget', 'hset', 'hincrby', 'time', 'xadd', 'xlen', 'zadd', 'zscore', 'zrem']
      const own = ['info', 'config|resetstat', 'ping', 'client|info', 'client|setinfo', 'hello', 'command']
      expect(Object.keys(others).filter((name) => ![...scripts, ...own].includes(name))).toEqual([])
    })
  })
})
