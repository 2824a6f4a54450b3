import { RedisEventStore } from '@tributary/eventlog/redis'
import { systemClock } from '@tributary/protocol'
import { RedisConnections } from '@tributary/redis'
import { FakeClock, startRedis, TcpProxy } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it, vi } from 'vitest'
import { BullRunQueue } from '../src/bullmq/index.ts'
import type { RunWork } from '../src/execute-run.ts'
import { RedisRunIndex } from '../src/redis/index.ts'
import { UnsureRunError } from '../src/run-error.ts'
import { RunRegistry } from '../src/run-registry.ts'
import { anyRun, heldWork, never, succeeded, typesOf } from './runs-under-test.ts'

const LIMIT_MS = 60_000
const LATER = { timeout: 20_000, interval: 100 }
const LOCK_MS = 2_000

/** A server, another that has nothing of it, and nodes that are taken from the one to the other. */
async function world() {
  await using started = new AsyncDisposableStack()
  const before = started.use(await startRedis())
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
      moves() {
        network.retarget(after.port)
        network.cut()
      },
    }
  }
  return { after, node, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

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
    const clock = new FakeClock()
    await using index = new RedisRunIndex({ redis: b.redis, prefix: 'lost', name: 'worker', clock })
    const once = { key: 'k', fingerprint: 'f', windowMs: 60_000 }
    const { run } = await a.runs.startOnce(once, anyRun(1), never)
    b.redis.onUp(() => back.resolve())
    const back = Promise.withResolvers<void>()
    b.moves()
    await back.promise
    const claim = index.claim('run_other', once)
    a.moves()
    const late = await servers.node(never, servers.after)
    await vi.waitFor(() => late.runs.find(run.id), LATER)
    clock.advance(2_000)
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
