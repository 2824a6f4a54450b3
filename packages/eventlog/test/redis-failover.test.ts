import { RedisConnections } from '@tributary/redis'
import { type RedisServer, startRedis, TcpProxy } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it, vi } from 'vitest'
import type { EventLog, LogEntry } from '../src/index.ts'
import { RedisEventStore } from '../src/redis/index.ts'
import { telling } from './ephemeral-contract.ts'
import { dataOf, event, KEEP_ALL, numbersOf, readAll } from './log-fixture.ts'
import { holds, LATER, OUTAGE, PREFIX, world } from './two-servers.ts'

const LIMIT_MS = 30_000
const TOPIC = 'group:a'

async function hearing(log: EventLog) {
  await log.follow([TOPIC]).ready
  const heard: LogEntry[] = []
  log.tail((entry) => heard.push(entry))
  return heard
}

/** A node sends something at the new server, at the place of what is lost. */
async function goesOn(
  { after }: { after: RedisServer },
  { moves, log }: { moves: () => void; log: EventLog },
) {
  moves()
  await vi.waitFor(() => send(log, 'other'), LATER)
  await holds(after, 2)
}

const send = (log: EventLog, data: unknown) => log.append([event(data, TOPIC)], { bridges: true })

describeWithRedisServers('a log whose server fails over', () => {
  it('has again what was answered and lost, for nodes that had never heard of it', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await world()
    const [a, b] = [await servers.node(), await servers.node()]
    const heard = await hearing(b.log)
    await send(a.log, 1)
    await vi.waitFor(() => expect(heard).toHaveLength(1), LATER)
    await servers.parts(1)
    b.network.refuse()
    // Nobody follows it there, so that it is answered at once.
    for (const n of [2, 3]) await send(a.log, n)
    for (const { moves } of [a, b]) moves()
    await vi.waitFor(() => expect(dataOf(heard)).toEqual([1, 2, 3]), LATER)
    await send(a.log, 4)
    await vi.waitFor(() => expect(dataOf(heard)).toEqual([1, 2, 3, 4]), LATER)
    expect(numbersOf(heard)).toEqual([1, 2, 3, 4])
  })

  it('tells readers of a gap where they were sent what is lost, and gives it to them behind that', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await world()
    const a = await servers.node()
    const heard = await hearing(a.log)
    await send(a.log, 1)
    const kept = a.log.head
    await servers.parts(1)
    await send(a.log, 2)
    const lost = a.log.head
    const other = await servers.node()
    await goesOn(servers, other)
    let rewinds = 0
    a.log.onRewind(() => {
      rewinds += 1
    })
    a.moves()
    await vi.waitFor(() => expect(rewinds).toBeGreaterThan(0), LATER)
    expect(await a.log.locate({ kind: 'event', ...lost }, [TOPIC])).toMatchObject({ gap: 'log_lost' })
    expect(await a.log.locate({ kind: 'event', ...kept }, [TOPIC])).toEqual({ after: kept })
    await vi.waitFor(async () => expect(dataOf(await readAll(a.log))).toEqual([1, 'other', 2]), LATER)
    expect(dataOf(heard).at(-1)).toBe(2)
  })

  it('is read on by nobody at another server before it has been compared with what was read', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await world()
    const [left, other] = [await servers.node(), await servers.node()]
    await send(left.log, 1)
    await servers.parts(1)
    other.moves()
    // As many there as here, so that the numbers alone do not tell.
    await vi.waitFor(() => send(other.log, 'other'), LATER)
    for (const n of [3, 4]) await send(other.log, n)
    for (const n of ['lost', 'lost', 'lost']) await send(left.log, n)
    const a = await servers.node()
    const heard = await hearing(a.log)
    a.moves()
    const { entries } = await a.log.read(1, { topics: [TOPIC] })
    expect(dataOf(entries)).not.toContain('other')
    await vi.waitFor(async () => expect(dataOf(await readAll(a.log))).toEqual([1, 'other', 3, 4]), LATER)
    expect(heard).toEqual([])
  })

  it('hands on what the old server answered while the new one was listened to already', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await world()
    const a = await servers.node()
    const heard = await hearing(a.log)
    await send(a.log, 1)
    await servers.parts(1)
    a.network.retarget(servers.after.port)
    await servers.before.run('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await vi.waitFor(
      async () => expect(await servers.after.run('PUBSUB', 'SHARDCHANNELS')).not.toEqual([]),
      LATER,
    )
    // As the owner of a run does it, who goes on when it is handed on.
    const appended = a.log.append([event(2, TOPIC)])
    // Asked behind it, so that the answer is on its way.
    await holds(servers.before, 2)
    await servers.before.kill()
    await appended.catch(() => undefined)
    await vi.waitFor(async () => expect(dataOf(await readAll(a.log))).toEqual([1, 2]), LATER)
    await vi.waitFor(() => expect(dataOf(heard)).toContain(2), LATER)
    await a.log.append([event(3, TOPIC)])
    expect(dataOf(await readAll(a.log))).toEqual([1, 2, 3])
  })

  it('does not hand on what was stored again as if it were new, while it still reads the server that had it', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await world()
    const [a, b, c] = [await servers.node(), await servers.node(), await servers.node()]
    const heard = await hearing(a.log)
    let rewinds = 0
    a.log.onRewind(() => {
      rewinds += 1
      // What was told before is told anew behind a gap.
      heard.length = 0
    })
    await send(a.log, 1)
    await servers.parts(1)
    await send(b.log, 2)
    await vi.waitFor(() => expect(dataOf(heard)).toEqual([1, 2]), LATER)
    a.network.retarget(servers.after.port)
    await servers.before.run('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await vi.waitFor(
      async () => expect(await servers.after.run('PUBSUB', 'SHARDCHANNELS')).not.toEqual([]),
      LATER,
    )
    await vi.waitFor(() => expect(a.store.health).toEqual({ status: 'ok' }), LATER)
    c.moves()
    await vi.waitFor(() => send(c.log, 'other'), LATER)
    await holds(servers.after, 2)
    b.moves()
    await holds(servers.after, 3)
    const told: string[] = []
    a.log.onTold(({ json }) => told.push(json))
    await c.log.tell(telling('all of it has come'))
    await vi.waitFor(() => expect(told).toHaveLength(1), LATER)
    expect({ rewinds, heard: dataOf(heard) }).toEqual({ rewinds: 0, heard: [1, 2] })
    a.moves()
    await vi.waitFor(() => expect(rewinds).toBeGreaterThan(0), LATER)
    await vi.waitFor(async () => expect(dataOf(await readAll(a.log))).toEqual([1, 'other', 2]), LATER)
  })

  it('has again what was handed on, and lost before its answer came', { timeout: LIMIT_MS }, async () => {
    await using servers = await world()
    const [a, b] = [await servers.node(), await servers.node()]
    const heard = await hearing(a.log)
    await send(a.log, 1)
    await servers.parts(1)
    a.network.loseAnswers(/^(?!.*subscribe)/is)
    const sent = send(a.log, 2)
    await vi.waitFor(() => expect(dataOf(heard)).toEqual([1, 2]), LATER)
    a.network.refuse()
    await sent
    await goesOn(servers, b)
    a.moves()
    await vi.waitFor(async () => expect(dataOf(await readAll(b.log))).toEqual([1, 'other', 2]), LATER)
  })

  it('tells of a gap who comes from before what died with its node, until that is there again', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await world()
    const [a, b] = [await servers.node(), await servers.node()]
    const heard = await hearing(b.log)
    await send(a.log, 1)
    await vi.waitFor(() => expect(heard).toHaveLength(1), LATER)
    const kept = b.log.head
    const comes = () => b.log.locate({ kind: 'event', ...kept }, [TOPIC])
    await servers.parts(1)
    await send(a.log, 2)
    await vi.waitFor(() => expect(dataOf(heard)).toEqual([1, 2]), LATER)
    expect(await comes()).toEqual({ after: kept })
    a.network.refuse()
    b.moves()
    await vi.waitFor(async () => expect(await comes()).toMatchObject({ after: kept, gap: 'log_lost' }), LATER)
    // For who has been told of nothing that is lost.
    expect(await b.log.locate({ kind: 'event', ...kept }, ['group:other'])).toEqual({ after: kept })
    a.moves()
    await vi.waitFor(() => expect(dataOf(heard)).toEqual([1, 2, 2]), LATER)
    expect(await comes()).toEqual({ after: kept })
  })

  it('has what is put back in its order also where some of it would fit at its old place', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await world()
    const [a, b] = [await servers.node(), await servers.node()]
    const heard = await hearing(a.log)
    await send(a.log, 1)
    await servers.parts(1)
    await send(a.log, 2)
    await goesOn(servers, b)
    // Later than that, and at the place behind it.
    await send(a.log, 3)
    a.moves()
    await vi.waitFor(async () => expect(dataOf(await readAll(b.log))).toHaveLength(4), LATER)
    expect(dataOf(await readAll(b.log))).toEqual([1, 'other', 2, 3])
    await vi.waitFor(() => expect(dataOf(heard).at(-1)).toBe(3), LATER)
  })

  it('has what the owner of a run wrote, in its order, with its attributes, and its end', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await world()
    const a = await servers.node()
    const run = await a.store.open('run:1', { ...KEEP_ALL, runId: '1' })
    await run.append([event(1)], { epoch: 1, attributes: { at: '1' } })
    await servers.parts(1, 'run:1')
    await run.append([event(2), event(3)], { epoch: 1, attributes: { at: '3' } })
    await run.append([], { epoch: 2, attributes: { owner: 'a' } })
    a.moves()
    await vi.waitFor(() => run.append([event(4)], { epoch: 2 }), LATER)
    await run.close(event('end'), { epoch: 2 })
    const b = await servers.node()
    b.moves()
    await vi.waitFor(async () => {
      const seen = await b.store.open('run:1', { ...KEEP_ALL, runId: '1' })
      expect(dataOf(await readAll(seen))).toEqual([1, 2, 3, 4, 'end'])
      expect(Object.fromEntries(seen.attributes)).toEqual({ at: '3', owner: 'a' })
      await expect(seen.append([event(5)], { epoch: 1 })).rejects.toMatchObject({ code: 'log_closed' })
    }, LATER)
  })

  it('has at the places that it had what its one owner puts back, so that no reader is told of it', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await world()
    const [a, b] = [await servers.node(), await servers.node()]
    const open = ({ store }: typeof a) => store.open('run:1', { ...KEEP_ALL, runId: '1' })
    const [run, seen] = [await open(a), await open(b)]
    const rewinds: string[] = []
    const heard: LogEntry[] = []
    for (const [name, log] of [
      ['a', run],
      ['b', seen],
    ] as const) {
      await log.follow().ready
      log.onRewind(() => rewinds.push(name))
    }
    seen.tail((entry) => heard.push(entry))
    await run.append([event(1)])
    await servers.parts(1, 'run:1')
    await run.append([event(2), event(3)])
    await run.append([event(4)])
    await vi.waitFor(() => expect(dataOf(heard)).toEqual([1, 2, 3, 4]), LATER)
    const ids = heard.map((entry) => entry.event.id)
    for (const { moves } of [a, b]) moves()
    await vi.waitFor(() => run.append([event(5)]), LATER)
    await vi.waitFor(() => expect(dataOf(heard)).toEqual([1, 2, 3, 4, 5]), LATER)
    expect((await readAll(seen)).slice(0, 4).map((entry) => entry.event.id)).toEqual(ids)
    expect(rewinds).toEqual([])
  })

  it('is read whole, or not at all, while its owner has not put back what it had handed on', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await world()
    const [a, b] = [await servers.node(), await servers.node()]
    const open = ({ store }: typeof a) => store.open('run:1', { ...KEEP_ALL, runId: '1' })
    const [run, seen] = [await open(a), await open(b)]
    await run.append([event(1)])
    await servers.parts(1, 'run:1')
    await run.append([event(2), event(3)])
    // What was told before it came is not in its memory.
    await seen.follow().ready
    expect(seen.head.n).toBe(3)
    let rewinds = 0
    seen.onRewind(() => {
      rewinds += 1
    })
    b.moves()
    // The old server is left at one place while the other has not got it yet.
    const reading = vi.waitFor(() => seen.read(1), LATER)
    await vi.waitFor(() => expect(b.store.health).toEqual({ status: 'ok' }), LATER)
    a.moves()
    // Where its owner takes so long that it counts as lost, its readers are told.
    const read = numbersOf((await reading).entries)
    expect(rewinds > 0 ? [2, 3] : read).toEqual([2, 3])
  })

  it('ends also where nobody appends to it any more', { timeout: LIMIT_MS }, async () => {
    await using servers = await world()
    const a = await servers.node()
    const run = await a.store.open('run:1', { ...KEEP_ALL, runId: '1' })
    await run.append([event(1)])
    await servers.parts(1, 'run:1')
    await run.close(event('end'))
    a.moves()
    await holds(servers.after, 2, 'run:1')
    expect(await servers.after.run('HGET', `${PREFIX}:{run:1}:meta`, 'c')).toBe('1')
  })

  it('has nothing twice that is still there, or that another node has stored for its key', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await world()
    const [a, b] = [await servers.node(), await servers.node()]
    const once = { key: 'k', fingerprint: 'f', windowMs: 60_000 }
    const ask = (log: EventLog) => log.appendOnce([event('once', TOPIC)], once, { bridges: true })
    for (const n of [1, 2]) await send(a.log, n)
    await servers.parts(2)
    await ask(a.log)
    await send(a.log, 3)
    b.moves()
    await vi.waitFor(async () => expect(await ask(b.log)).toMatchObject({ replayed: false }), LATER)
    a.moves()
    await vi.waitFor(async () => expect(dataOf(await readAll(b.log))).toEqual([1, 2, 'once', 3]), LATER)
    expect(await ask(a.log)).toMatchObject({ replayed: true, first: { n: 3 } })
    await send(a.log, 4)
    expect(dataOf(await readAll(a.log))).toEqual([1, 2, 'once', 3, 4])
  })

  it('hands on first what it had answered before it went away, where it is not told any more', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis({ persistent: true })
    await using network = await TcpProxy.start(redis.port)
    const url = `redis://127.0.0.1:${network.port}`
    await using connections = await RedisConnections.open({ url, timeoutMs: 1_000 })
    await using store = new RedisEventStore({ connections, prefix: PREFIX, outage: OUTAGE })
    const log = await store.open('hub', KEEP_ALL)
    const heard = await hearing(log)
    network.refuseNew()
    await redis.run('CLIENT', 'KILL', 'TYPE', 'pubsub')
    const first = send(log, 1)
    await holds(redis, 1)
    await redis.kill()
    await first
    await vi.waitFor(() => expect(connections.status.state).toBe('down'), LATER)
    await send(log, 2)
    const isProvisional = heard.map(({ provisional = false }) => provisional)
    expect(dataOf(heard)).toEqual([1, 2])
    expect(isProvisional[1]).toBe(true)
    expect(dataOf(log.provisional ?? []).at(-1)).toBe(2)
    await redis.restart()
    network.restore()
    await vi.waitFor(() => expect(store.health).toEqual({ status: 'ok' }), LATER)
    const stored = () => heard.filter(({ provisional }) => !provisional)
    await vi.waitFor(() => expect(dataOf(stored())).toEqual([1, 2]), LATER)
    expect(new Set(heard.map(({ origin }) => origin)).size).toBe(2)
    expect(log.provisional).toEqual([])
  })
})
