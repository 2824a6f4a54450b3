import { RedisEventStore } from '@tributary/eventlog/redis'
import { systemClock } from '@tributary/protocol'
import { RedisConnections } from '@tributary/redis'
import { startRedis, TcpProxy } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it, vi } from 'vitest'
import { BullRunQueue } from '../src/bullmq/index.ts'
import { runQueueKeys } from '../src/bullmq/redis-keys.ts'
import type { RunWork } from '../src/execute-run.ts'
import { RedisRunIndex } from '../src/redis/index.ts'
import { UnsureRunError } from '../src/run-error.ts'
import { RunRegistry } from '../src/run-registry.ts'
import { anyRun, heldWork, never, succeeded, typesOf } from './runs-under-test.ts'

const LIMIT_MS = 60_000
const LATER = { timeout: 20_000, interval: 100 }
const LOCK_MS = 2_000

/** A server, another that has nothing of it, or a copy, and nodes that are taken from the one to the other. */
async function world() {
  await using started = new AsyncDisposableStack()
  const before = started.use(await startRedis({ lines: ['repl-diskless-sync-delay 0'] }))
  const after = started.use(await startRedis())
  const owned = started.move()
  const node = async (work: RunWork, target = before) => {
    const network = owned.use(await TcpProxy.start(target.port))
    const redis = owned.use(
      await RedisConnections.open({ url: `redis://127.0.0.1:${network.port}`, timeoutMs: 1_000 }),
    )
    const shared = { redis, prefix: 'lost', name: 'worker' }
    const store = owned.use(new RedisEventStore({ connections: redis, prefix: 'lost' }))
    const index = owned.use(new RedisRunIndex(shared))
    const queue = owned.use(await BullRunQueue.open({ ...shared, lockMs: LOCK_MS }))
    const runs = owned.use(
      await RunRegistry.open({ store, clock: systemClock, source: 'worker', fleet: { index, queue } }),
    )
    await runs.recover(() => work)
    return {
      redis,
      runs,
      queue,
      network,
      moves() {
        network.retarget(after.port)
        network.cut()
      },
    }
  }
  /** Has the other server all of this moment, and nothing of what comes. */
  const copies = async () => {
    await after.run('REPLICAOF', '127.0.0.1', String(before.port))
    const isCopied = async () => /master_link_status:up/.test(String(await after.run('INFO', 'replication')))
    await vi.waitFor(async () => expect(await isCopied()).toBe(true), LATER)
    await after.run('REPLICAOF', 'NO', 'ONE')
  }
  return { after, node, copies, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

describeWithRedisServers('a run whose node is cut off for longer than its lease', () => {
  it('is not told as running by that, as others may have it by then', { timeout: LIMIT_MS }, async () => {
    await using servers = await world()
    const [a, b] = [await servers.node(never), await servers.node(async () => succeeded())]
    const held = heldWork()
    const run = await a.runs.start(anyRun(), held.work)
    const status = async () => (await a.runs.find(run.id)).view().status
    expect(await status()).toBe('running')
    a.network.refuse()
    await vi.waitFor(async () => expect((await b.runs.find(run.id)).status).toBe('succeeded'), LATER)
    expect(await status()).toBe('unreachable')
    a.network.restore()
    await vi.waitFor(async () => expect(await status()).toBe('succeeded'), LATER)
    held.end(succeeded())
  })
})

describeWithRedisServers('a run of which the next server has nothing', () => {
  it('goes on at its node, is found and waited for by the others, and ends', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await world()
    const [a, b] = [await servers.node(never), await servers.node(never)]
    const held = heldWork()
    const run = await a.runs.start(anyRun(1), held.work)
    await run.emit('progress', { step: 1, totalSteps: 2, progress: 50 })
    const seen = await b.runs.find(run.id)
    seen.hold()
    await seen.openLog()
    b.moves()
    // While its node may be about to put it back nobody is told that there is no such run.
    await vi.waitFor(() => expect(b.runs.find(run.id)).rejects.toBeInstanceOf(UnsureRunError), LATER)
    a.moves()
    const late = await servers.node(never, servers.after)
    const found = await vi.waitFor(() => late.runs.find(run.id), LATER)
    expect(found.view()).toMatchObject({ status: 'running', userId: 'ann' })
    // Its job is there again, too: another node goes on with it if this one dies.
    await vi.waitFor(async () => expect(await late.queue.missing([run.id])).toEqual([]), LATER)
    held.end(succeeded())
    await seen.ended
    await run.ended
    await vi.waitFor(async () => expect((await late.runs.find(run.id)).status).toBe('succeeded'), LATER)
    const log = await (await late.runs.find(run.id)).openLog()
    expect(await typesOf(log)).toEqual(['progress', 'complete'])
    expect((await late.runs.list()).runs).toMatchObject([{ runId: run.id, status: 'succeeded' }])
  })

  it('is the one of its key still, for who asks for it again where its node is not there yet', {
    timeout: LIMIT_MS,
  }, async () => {
    await using servers = await world()
    const [a, b] = [await servers.node(never), await servers.node(never)]
    await using index = new RedisRunIndex({ redis: b.redis, prefix: 'lost', name: 'worker' })
    const once = { key: 'k', fingerprint: 'f', windowMs: 60_000 }
    const { run } = await a.runs.startOnce(once, anyRun(1), never)
    b.redis.onUp(() => back.resolve())
    const back = Promise.withResolvers<void>()
    b.moves()
    await back.promise
    const isBack = vi.spyOn(b.redis, 'backForMs', 'get').mockReturnValue(0)
    const claim = index.claim('run_other', once)
    a.moves()
    const late = await servers.node(never, servers.after)
    await vi.waitFor(() => late.runs.find(run.id), LATER)
    isBack.mockRestore()
    expect(await claim).toMatchObject({ kind: 'theirs', runId: run.id })
  })

  it('is taken by some node where none had it yet', { timeout: LIMIT_MS }, async () => {
    await using servers = await world()
    const a = await servers.node(never)
    await a.queue.pause()
    const run = await a.runs.submit({ ...anyRun(1), anywhere: true, request: {} }, never)
    a.moves()
    const late = await servers.node(async () => succeeded(), servers.after)
    await vi.waitFor(async () => expect((await late.runs.find(run.id)).status).toBe('succeeded'), LATER)
  })

  it('has ended where its end was all that was left to be known', { timeout: LIMIT_MS }, async () => {
    await using servers = await world()
    const a = await servers.node(never)
    const run = await a.runs.start(anyRun(1), async () => succeeded())
    await run.ended
    await vi.waitFor(() => expect(a.runs.runningCount).toBe(0), LATER)
    a.moves()
    const late = await servers.node(never, servers.after)
    await vi.waitFor(async () => expect((await late.runs.find(run.id)).status).toBe('succeeded'), LATER)
    const log = await vi.waitFor(async () => (await late.runs.find(run.id)).openLog(), LATER)
    expect(await typesOf(log)).toEqual(['complete'])
  })
})

describeWithRedisServers('a run of which the next server has all but the end', () => {
  it('is begun anew by nobody before its node could put that back', { timeout: LIMIT_MS }, async () => {
    await using servers = await world()
    const held = heldWork()
    const a = await servers.node(never)
    const run = await a.runs.start(anyRun(1), held.work)
    let takenOver = 0
    const b = await servers.node(async () => {
      takenOver += 1
      return succeeded()
    })
    await servers.copies()
    held.end(succeeded())
    await run.ended
    await vi.waitFor(() => expect(a.runs.runningCount).toBe(0), LATER)
    const asked = vi.spyOn(b.redis, 'backForMs', 'get').mockReturnValue(0)
    b.moves()
    // Its owner is given up by now: it is asked for, again and again.
    const { owned } = runQueueKeys('lost', 'worker')
    const isOver = async () => Number(await servers.after.run('ZSCORE', owned, run.id)) < Date.now()
    await vi.waitFor(async () => expect(await isOver()).toBe(true), LATER)
    asked.mockClear()
    await vi.waitFor(() => expect(asked.mock.calls.length).toBeGreaterThan(3), LATER)
    a.moves()
    await vi.waitFor(async () => expect((await b.runs.find(run.id)).status).toBe('succeeded'), LATER)
    asked.mockRestore()
    // Nobody has it any more.
    await vi.waitFor(async () => expect(await b.queue.missing([run.id])).toEqual([run.id]), LATER)
    expect(takenOver).toBe(0)
    expect((await (await b.runs.find(run.id)).openLog()).head).toMatchObject({ n: 1 })
  })
})
