import { RedisConnections, type RedisConnectionsInit } from '@tributary/redis'
import { FakeClock, type RedisServer, startRedis, TcpProxy } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it, vi } from 'vitest'
import { type EventLog, type LogEntry, StoreUnavailableError } from '../src/index.ts'
import { RedisEventStore, type RedisEventStoreOptions } from '../src/redis/index.ts'
import { dataOf, event, HOUR_MS, KEEP_ALL, numbersOf, readAll } from './log-fixture.ts'

const LIMIT_MS = 20_000
const BACK_MS = 10_000

/** A node that hears of a group. */
async function node(
  redis: Pick<RedisServer, 'url'>,
  outage?: RedisEventStoreOptions['outage'],
  init: Partial<RedisConnectionsInit> = {},
  onError?: (error: unknown) => void,
) {
  const connections = await RedisConnections.open({ url: redis.url, timeoutMs: 1_000, ...init })
  const store = new RedisEventStore({
    connections,
    prefix: 'outage',
    ...(outage === undefined ? {} : { outage }),
    ...(onError === undefined ? {} : { onError }),
  })
  const log = await store.open('hub', KEEP_ALL)
  await log.follow(['group:a']).ready
  const heard: LogEntry[] = []
  log.tail((entry) => heard.push(entry))
  return {
    store,
    log,
    heard,
    /** What has its place, and what had none when it was handed on. */
    stored: () => heard.filter(({ provisional }) => !provisional),
    provisional: () => heard.filter(({ provisional }) => provisional),
    isAway: () => vi.waitFor(() => expect(connections.status.state).toBe('down'), BACK_MS),
    async [Symbol.asyncDispose]() {
      await store.close()
      await connections[Symbol.asyncDispose]()
    },
  }
}

const bridged = (log: EventLog, data: unknown) => log.append([event(data, 'group:a')], { bridges: true })
const LIMITS = { maxEvents: 100, maxBytes: 100_000 }

describeWithRedisServers('while Redis is away, a log', () => {
  it('hands on at once what may wait, and stores it in order before anything else is handed on', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis({ persistent: true })
    await using a = await node(redis, LIMITS)
    await using b = await node(redis)
    await bridged(a.log, 'before')
    await vi.waitFor(() => expect(b.heard).toHaveLength(1))
    await redis.kill()
    await a.isAway()
    const [first] = await bridged(a.log, 1)
    const head = a.log.idOf(a.log.head)
    expect(first).toMatchObject({ provisional: true, position: a.log.head })
    expect(first?.event.id).toBe(`${head}~${first?.origin}~${first?.origin}`)
    for (let i = 2; i <= 150; i++) await bridged(a.log, i).catch(() => undefined)
    expect(dataOf(a.provisional())).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
    expect(a.store.health).toMatchObject({
      status: 'degraded',
      reason: expect.stringContaining('100 events wait'),
    })
    await redis.restart()
    await vi.waitFor(() => expect(b.stored()).toHaveLength(101), BACK_MS)
    await vi.waitFor(() => expect(a.stored()).toHaveLength(101), BACK_MS)
    expect(dataOf(b.stored())).toEqual(['before', ...Array.from({ length: 100 }, (_, i) => i + 1)])
    expect(numbersOf(a.stored())).toEqual(Array.from({ length: 101 }, (_, i) => i + 1))
    // By that a reader knows what it has been sent.
    const origins = a.provisional().map(({ origin }) => origin)
    expect(
      a
        .stored()
        .slice(1)
        .map(({ origin }) => origin),
    ).toEqual(origins)
    expect((await readAll(b.log)).slice(1).map(({ origin }) => origin)).toEqual(origins)
    await vi.waitFor(() => expect(a.store.health).toEqual({ status: 'ok' }))
    await bridged(a.log, 'after')
    await vi.waitFor(() => expect(a.heard.at(-1)).toMatchObject({ position: { n: 102 } }))
  })

  it('says why what waits is not taken, where Redis is there and takes what is small', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis()
    // By a clock that stands nobody looks whether it takes writes.
    await using a = await node(redis, LIMITS, { clock: new FakeClock() })
    await redis.run('CONFIG', 'SET', 'maxmemory', '1')
    expect(await bridged(a.log, 'waits')).toMatchObject([{ provisional: true }])
    const reason = expect.stringMatching(
      /^Redis does not take what waits: its memory is full.*; 1 events wait/,
    )
    await vi.waitFor(() => expect(a.store.health).toEqual({ status: 'degraded', reason }), BACK_MS)
    await redis.run('CONFIG', 'SET', 'maxmemory', '0')
    await vi.waitFor(() => expect(a.store.health).toEqual({ status: 'ok' }), BACK_MS)
  })

  it('is not trimmed, which nobody need be told', { timeout: LIMIT_MS }, async () => {
    await using redis = await startRedis({ persistent: true })
    const errors: unknown[] = []
    await using a = await node(redis, LIMITS, { timeoutMs: 300 }, (error) => errors.push(error))
    for (let i = 0; i < 10; i++) await a.store.open(`hub-${i}`, KEEP_ALL)
    const underWay = a.store.trim()
    await redis.kill()
    await underWay
    await a.isAway()
    await a.store.trim()
    expect(errors).toEqual([])
  })

  it('keeps what waits for who comes meanwhile, until it has its place', { timeout: LIMIT_MS }, async () => {
    await using redis = await startRedis()
    await using a = await node(redis, LIMITS)
    await redis.kill()
    await a.isAway()
    for (const data of [1, 2]) await bridged(a.log, data)
    expect(a.log.provisional).toEqual(a.heard)
    await redis.restart()
    // Nothing overtakes what waits.
    await expect.poll(() => a.log.append([event('last', 'group:a')]), { timeout: BACK_MS }).toHaveLength(1)
    expect(dataOf(await readAll(a.log))).toEqual([1, 2, 'last'])
    await vi.waitFor(() => expect(dataOf(a.stored())).toEqual([1, 2, 'last']), BACK_MS)
    expect(a.log.provisional).toEqual([])
  })

  it('sends once what was asked for once, also when it had been stored without an answer', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis({ persistent: true })
    await using a = await node(redis, LIMITS)
    await redis.kill()
    await a.isAway()
    const once = { key: 'k', fingerprint: 'f', windowMs: HOUR_MS }
    const send = () => a.log.appendOnce([event('once', 'group:a')], once, { bridges: true })
    expect(await send()).toMatchObject({ replayed: false, entries: [{ provisional: true }] })
    expect(await send()).toEqual({ replayed: true, first: undefined, waits: true })
    await expect(
      a.log.appendOnce([event('other', 'group:a')], { ...once, fingerprint: 'g' }, { bridges: true }),
    ).rejects.toMatchObject({ code: 'once_conflict' })
    await redis.restart()
    await vi.waitFor(() => expect(dataOf(a.stored())).toEqual(['once']), BACK_MS)
    expect(await send()).toMatchObject({ replayed: true, first: { n: 1 } })
  })

  it('does not hand on what is asked for again, and stood in the log before this node came', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis({ persistent: true })
    await using b = await node(redis)
    const once = { key: 'k', fingerprint: 'f', windowMs: HOUR_MS }
    await b.log.appendOnce([event('once', 'group:a')], once)
    await using a = await node(redis, LIMITS)
    expect(dataOf(await readAll(a.log))).toEqual(['once'])
    await redis.kill()
    await a.isAway()
    const again = a.log.appendOnce([event('once', 'group:a')], once, { bridges: true })
    expect(await again).toMatchObject({ replayed: true, first: { n: 1 } })
    expect(a.heard).toEqual([])
  })

  it('appends what was under way when the connection ended exactly once', { timeout: LIMIT_MS }, async () => {
    await using redis = await startRedis()
    await using a = await node(redis, { ...LIMITS, maxEvents: 1_000 })
    const all: Promise<unknown>[] = []
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 20; i++) all.push(bridged(a.log, `${round}.${i}`))
      await redis.run('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    }
    await Promise.all(all)
    await vi.waitFor(() => expect(a.stored()).toHaveLength(200), BACK_MS)
    expect(new Set(dataOf(a.stored())).size).toBe(200)
    expect(numbersOf(await readAll(a.log))).toEqual(Array.from({ length: 200 }, (_, i) => i + 1))
  })

  it('does once what it gave up on without an answer and is asked for again, in a log that is heard or not', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis()
    await using proxy = await TcpProxy.start(redis.port)
    await using a = await node({ url: `redis://127.0.0.1:${proxy.port}` })
    const run = await a.store.open('run:1', { ...KEEP_ALL, runId: '1' })
    const batch = (name: string) => [event(`${name}1`, 'group:a'), event(`${name}2`, 'group:a')]
    /** Done, and not answered, as the connection ended. */
    const giveUp = async (work: () => Promise<unknown>, isDone: () => Promise<unknown>) => {
      proxy.loseAnswers()
      const failing = work().catch((error: unknown) => error)
      await vi.waitFor(isDone)
      proxy.refuse()
      const error = await failing
      proxy.restore()
      if (!(error instanceof StoreUnavailableError)) throw error
      expect(error.unsettled).toMatch(/\.\d+$/)
      await vi.waitFor(() => expect(a.store.health).toEqual({ status: 'ok' }), BACK_MS)
      return { again: error.unsettled }
    }
    await using b = await node(redis)
    const seen = await b.store.open('run:1', { ...KEEP_ALL, runId: '1' })
    const lengthOf = (log: EventLog, length: number) => async () =>
      expect(await readAll(log)).toHaveLength(length)

    for (const [log, there] of [
      [a.log, b.log],
      [run, seen],
    ] as const) {
      const options = { epoch: 1, attributes: { at: 'first' } }
      const first = await giveUp(() => log.append(batch('first'), options), lengthOf(there, 2))
      await log.append([event('second', 'group:a')])
      const entries = await log.append(batch('first'), { ...options, ...first })
      expect(numbersOf(entries)).toEqual([1, 2])
      expect(dataOf(await readAll(there))).toEqual(['first1', 'first2', 'second'])
    }
    // Another has taken it over since: whoever goes on as if it were his own would do it beside him.
    const third = [event('third', 'group:a')]
    const late = await giveUp(() => run.append(third, { epoch: 1 }), lengthOf(seen, 4))
    await seen.append([], { epoch: 2 })
    const stale = { code: 'stale_epoch' }
    await expect(run.append(third, { epoch: 1, ...late })).rejects.toMatchObject(stale)
    const end = event('end')
    const closing = await giveUp(
      () => run.close(end),
      () => expect.poll(async () => (await b.store.list({ prefix: 'run:1' }))[0]?.closed).toBe(true),
    )
    expect((await run.close(end, closing)).position.n).toBe(5)
    await expect(run.close(end)).rejects.toMatchObject({ code: 'log_closed' })
  })

  it('refuses everything where nothing may wait, and what may not', { timeout: LIMIT_MS }, async () => {
    await using redis = await startRedis()
    await using a = await node(redis)
    await using b = await node(redis, LIMITS)
    await redis.kill()
    await Promise.all([a.isAway(), b.isAway()])
    const refusal = { code: 'store_unavailable', statusCode: 503, retryAfterS: expect.any(Number) }
    await expect(bridged(a.log, 1)).rejects.toMatchObject(refusal)
    await expect(b.log.append([event(1, 'group:a')])).rejects.toMatchObject(refusal)
    await expect(b.log.follow(['group:b']).ready).rejects.toMatchObject(refusal)
    expect([a.heard, b.heard]).toEqual([[], []])
  })

  it('stores what waits also where Redis has lost everything meanwhile', { timeout: LIMIT_MS }, async () => {
    await using redis = await startRedis()
    await using a = await node(redis, LIMITS)
    await bridged(a.log, 'lost')
    await redis.kill()
    await a.isAway()
    await bridged(a.log, 'kept')
    await redis.restart()
    await vi.waitFor(async () => expect(dataOf(await readAll(a.log))).toEqual(['kept']), BACK_MS)
    expect(a.log.head.n).toBe(1)
  })
})
