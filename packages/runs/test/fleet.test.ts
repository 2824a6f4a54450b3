import { randomUUID } from 'node:crypto'
import { type Append, type OnceKey, type OpenOptions, StoreUnavailableError } from '@tributary/eventlog'
import { type Clock, systemClock } from '@tributary/protocol'
import { LocalUserQuota } from '@tributary/quota'
import { RedisConnections } from '@tributary/redis'
import { FakeClock, TcpProxy } from '@tributary/testkit'
import { describeWithRedis } from '@tributary/testkit/vitest'
import { expect, it, vi } from 'vitest'
import { BullRunQueue } from '../src/bullmq/index.ts'
import { cancelRun } from '../src/cancel-run.ts'
import type { RunWork } from '../src/execute-run.ts'
import { RedisRunIndex } from '../src/redis/index.ts'
import { runIndexKeys } from '../src/redis/redis-keys.ts'
import type { Run } from '../src/run.ts'
import { REQUEST } from '../src/run-attributes.ts'
import { RunElsewhereError, UnsureRunError } from '../src/run-error.ts'
import { readRunPast } from '../src/run-past.ts'
import { newRecord } from '../src/run-record.ts'
import { RunRegistry } from '../src/run-registry.ts'
import type { RunRegistryOptions } from '../src/run-registry-options.ts'
import { TaskBoard } from '../src/task-board.ts'
import {
  anyRun,
  eventsOf,
  heldWork,
  never,
  storeWith,
  succeeded,
  typesOf,
  untilStopped,
} from './runs-under-test.ts'
import { DISKS } from './stores-under-test.ts'

const LOCK_MS = 1_500

const until = (isSo: () => boolean) => expect.poll(isSo, { timeout: 10_000 }).toBe(true)

/** Another node takes this run, and brings it to its end. */
async function isDoneElsewhere(place: Awaited<ReturnType<typeof openPlace>>, runId: string) {
  const held = heldWork()
  const there = await place.node(held.work)
  await there.recover()
  const run = await held.begun
  expect(run.id).toBe(runId)
  held.end(succeeded())
  await run.ended
  expect(await typesOf(run.log)).toEqual(['complete'])
}

/** Registries of nodes that share a store, in memory, and the rest on Redis. */
async function openPlace(url: string, prefix: string) {
  const redis = await RedisConnections.open({ url })
  const disk = await DISKS.memory(systemClock)
  const store = await disk.open()
  const closing: (() => Promise<void>)[] = []
  return {
    store,
    redis,
    url,
    prefix,
    async node(
      work: RunWork,
      options: Partial<RunRegistryOptions> & { concurrency?: number; queueClock?: Clock } = {},
    ) {
      const { concurrency, queueClock = systemClock, ...rest } = options
      const own = await RedisConnections.open({ url })
      const shared = { redis: own, prefix, name: 'worker' }
      const index = new RedisRunIndex(shared)
      const queue = await BullRunQueue.open({
        ...shared,
        lockMs: LOCK_MS,
        clock: queueClock,
        ...(concurrency === undefined ? {} : { concurrency }),
      })
      const errors: unknown[] = []
      const runs = await RunRegistry.open({
        store,
        clock: systemClock,
        source: 'worker',
        fleet: { index, queue },
        onError: (error) => void errors.push(error),
        ...rest,
      })
      let killed = false
      closing.push(async () => {
        if (killed) return
        await runs.close()
        await queue[Symbol.asyncDispose]()
        await index[Symbol.asyncDispose]()
        await own[Symbol.asyncDispose]()
      })
      return {
        runs,
        errors,
        queue,
        recover: () => runs.recover(() => work),
        /** For the others it is as if the process were killed. */
        kill() {
          killed = true
          return own[Symbol.asyncDispose]()
        },
      }
    },
    /** As a failover may that has the rest. */
    async loseQueue() {
      const keys = await redis.call((client) => client.keys(`${prefix}:{runs:worker}:worker:*`))
      expect(await redis.call((client) => client.del(keys))).toBeGreaterThan(0)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(closing.map((close) => close()))
      await disk[Symbol.asyncDispose]()
      await redis[Symbol.asyncDispose]()
    },
  }
}

describeWithRedis('RunRegistry over a fleet', (redis) => {
  const newPlace = () => openPlace(redis.url, redis.prefix())
  const anywhere = { ...anyRun(1), anywhere: true, request: { a: 1 } }

  it('has a run executed by whichever node has room, and knows of it at each', async () => {
    await using place = await newPlace()
    const here = await place.node(never)
    const held = heldWork()
    const there = await place.node(held.work)
    const accepted = await here.runs.submit(anywhere, never)
    expect(accepted.status).toBe('accepted')
    await there.recover()
    const run = await held.begun
    expect((await here.runs.find(run.id)).view()).toMatchObject({ status: 'running', userId: 'ann' })
    expect((await here.runs.list()).runs).toMatchObject([{ runId: run.id, status: 'running' }])
    const release = accepted.hold()
    held.end(succeeded())
    await accepted.ended
    release()
    expect(accepted.view()).toMatchObject({ status: 'succeeded', successCount: 1 })
    await until(() => there.runs.runningCount === 0)
    expect((await here.runs.list({ status: 'succeeded' })).runs).toHaveLength(1)
    expect([...here.errors, ...there.errors]).toEqual([])
  })

  it('keeps and knows a run again of whose acceptance a failover has left the claim alone', async () => {
    await using place = await newPlace()
    const keys = runIndexKeys(place.prefix, 'worker')
    const held = heldWork()
    const here = await place.node(never)
    const there = await place.node(never)
    const run = await here.runs.start(anyRun(1), held.work)
    await place.redis.call((client) =>
      client.multi().del(keys.records, keys.all, keys.byUser, keys.live).zadd(keys.claims, 1, run.id).exec(),
    )
    await expect(there.runs.find(run.id)).rejects.toMatchObject({ code: 'store_unavailable' })
    await there.runs.sweep()
    expect((await there.runs.find(run.id)).view()).toMatchObject({ status: 'running', userId: 'ann' })
    held.end(succeeded())
    await run.ended
    expect((await there.runs.find(run.id)).status).toBe('succeeded')
  })

  it('says again that a run was accepted once Redis is back', async () => {
    await using place = await newPlace()
    const keys = runIndexKeys(place.prefix, 'worker')
    await using network = await TcpProxy.start(Number(new URL(place.url).port))
    const redis = await RedisConnections.open({ url: `redis://127.0.0.1:${network.port}` })
    const index = new RedisRunIndex({ redis, prefix: place.prefix, name: 'worker' })
    const run = { runId: 'run_1', record: newRecord(anyRun(1), 0, undefined) }
    await index.claim(run.runId)
    await index.add(run)
    await place.redis.call((client) =>
      client.multi().del(keys.records, keys.all, keys.byUser, keys.live).zadd(keys.claims, 1, 'run_1').exec(),
    )
    network.cut()
    await expect.poll(() => index.find('run_1').catch(() => undefined)).toMatchObject(run)
    // Also where not even the claim is left.
    await place.redis.call((client) => client.del(keys.records, keys.all, keys.byUser, keys.live))
    network.cut()
    await expect.poll(() => index.find('run_1').catch(() => undefined)).toMatchObject(run)
    expect(await index.unfinished('', 10)).toMatchObject([run])
    await index[Symbol.asyncDispose]()
    await redis[Symbol.asyncDispose]()
  })

  it('goes on with a run whose end a failover took from its log, and tells of one whose log it took that it is gone', async () => {
    await using place = await newPlace()
    const here = await place.node(never)
    const there = await place.node(async () => succeeded())
    const [unended, lost] = [await here.runs.start(anyRun(1), never), await here.runs.start(anyRun(1), never)]
    await here.kill()
    const redis = place.redis
    await using index = new RedisRunIndex({ redis, prefix: place.prefix, name: 'worker' })
    const ended = { at: Date.now() - 30_000, status: 'succeeded' } as const
    for (const { id, record } of [unended, lost]) {
      await index.end({ runId: id, record: { ...record, ended } })
    }
    await place.store.drop(`run:${lost.id}`)
    await expect((await there.runs.find(lost.id)).openLog()).rejects.toMatchObject({ code: 'run_gone' })
    const reader = await (await there.runs.find(unended.id)).openLog()
    await there.recover()
    await there.runs.sweep()
    await expect.poll(() => reader.closed, { timeout: 15_000 }).toBe(true)
    expect(await typesOf(reader)).toEqual(['complete'])
    expect((await there.runs.find(unended.id)).status).toBe('succeeded')
  }, 30_000)

  it('finds what is held for a run that waits no more, and of which it has heard nothing', async () => {
    await using place = await newPlace()
    const quota = new LocalUserQuota({ maxHolds: 1 })
    const here = await place.node(never, { quota })
    const waiting = await here.runs.submit(anywhere, never)
    expect([here.runs.queuedCount, await here.runs.faults()]).toEqual([1, []])
    await place.store.drop(`run:${waiting.id}`)
    const [fault] = await here.runs.faults()
    expect(fault).toMatchObject({ kind: 'leaked_hold', id: `ann ${waiting.id}` })
    await fault?.correct()
    expect([here.runs.queuedCount, await here.runs.faults(), [...quota.held()]]).toEqual([0, [], []])
  })

  it('counts a run that waits for a node at the one that accepted it, and no longer', async () => {
    await using place = await newPlace()
    const quotas = [new LocalUserQuota({ maxHolds: 1 }), new LocalUserQuota({ maxHolds: 1 })] as const
    const here = await place.node(never, { quota: quotas[0] })
    const held = heldWork()
    const there = await place.node(held.work, { quota: quotas[1] })
    await here.runs.submit(anywhere, never)
    await expect(here.runs.submit(anywhere, never)).rejects.toMatchObject({ code: 'user_run_limit' })
    await there.recover()
    await held.begun
    await until(() => [...quotas[0].held()].length === 0)
    expect([...quotas[1].held()]).toHaveLength(1)
    held.end(succeeded())
    await until(() => [...quotas[1].held()].length === 0)
  })

  it('knows runs again by their logs that the index lost: by id at once, at any node, and all with the next sweep', async () => {
    await using place = await newPlace()
    const here = await place.node(never)
    const there = await place.node(never)
    const [own, ended] = [
      await here.runs.start(anyRun(), untilStopped),
      await here.runs.start(anyRun(), untilStopped),
    ]
    await here.runs.cancel(ended)
    await ended.ended
    await until(() => here.runs.runningCount === 1)
    const loseIndex = () =>
      place.redis.call(async (client) => {
        const keys = await client.keys(`${place.prefix}:{runs:worker}:index:*`)
        expect(keys.length).toBeGreaterThan(3)
        await client.del(...keys)
      })
    await loseIndex()
    expect((await there.runs.find(ended.id)).view()).toMatchObject({ status: 'cancelled' })
    expect((await there.runs.find(own.id)).view()).toMatchObject({ status: 'running' })
    await expect(there.runs.find('run_none')).rejects.toMatchObject({ code: 'run_not_found' })
    await loseIndex()
    await here.runs.sweep()
    const listed = (await there.runs.list()).runs.map(({ runId, status }) => `${runId} ${status}`)
    expect(listed.toSorted()).toEqual([`${own.id} running`, `${ended.id} cancelled`].toSorted())
    expect(here.errors).toHaveLength(1)
    await here.runs.sweep()
    expect(here.errors).toHaveLength(1)
    await here.runs.cancel(own)
  })

  it('says of a run whose log is not there that it cannot be told yet, where it or Redis was there a moment ago', async () => {
    await using place = await newPlace()
    const here = await place.node(async () => succeeded())
    await here.recover()
    const ended = await here.runs.start(anyRun(), async () => succeeded())
    const held = heldWork()
    const going = await here.runs.start(anyRun(), held.work)
    await ended.ended
    const there = await place.node(never)
    const late = await place.node(never, {
      clock: { ...systemClock, now: () => systemClock.now() + 60_000 },
    })
    for (const { id } of [ended, going]) await place.store.drop(`run:${id}`)
    const reading = async ({ runs } = late) => (await runs.find(ended.id)).openLog()
    await expect(reading()).rejects.toMatchObject({ code: 'run_gone' })
    await expect(reading(there)).rejects.toBeInstanceOf(UnsureRunError)
    expect(await place.store.find(`run:${ended.id}`)).toBeUndefined()
    await place.redis.call((redis) => redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'), {
      again: true,
    })
    const unsure = { timeout: 4_000 }
    await vi.waitFor(() => expect(reading()).rejects.toBeInstanceOf(UnsureRunError), unsure)
    await expect(there.runs.find(going.id)).rejects.toBeInstanceOf(UnsureRunError)
    held.end(succeeded())
  })

  it('leaves a run to another node where that has what it takes, and this one has not', async () => {
    await using place = await newPlace()
    const here = await place.node(never)
    await here.runs.recover(() => {
      throw new RunElsewhereError('no such handler here')
    })
    const accepted = await here.runs.submit(anywhere, never)
    await isDoneElsewhere(place, accepted.id)
    expect(here.errors).toEqual([])
  })

  it('begins no run whose log is lost while it takes it, before that is there again', async () => {
    await using place = await newPlace()
    const here = await place.node(never)
    const held = heldWork()
    const there = await place.node(held.work)
    const { id } = await here.runs.submit(anywhere, never)
    const name = `run:${id}`
    const attributes = Object.fromEntries((await place.store.find(name))?.attributes ?? [])
    const open = place.store.open.bind(place.store)
    const isLost = Promise.withResolvers<OpenOptions>()
    place.store.open = async (...asked) => {
      place.store.open = open
      await place.store.drop(name)
      return open(...asked).finally(() => isLost.resolve(asked[1]))
    }
    await there.recover()
    const options = await isLost.promise
    expect(await place.store.find(name)).toBeUndefined()
    await place.store.open(name, { ...options, attributes, mustExist: false })
    const run = await held.begun
    expect([run.id, run.attribute(REQUEST)]).toEqual([id, '{"a":1}'])
    held.end(succeeded())
    await run.ended
    expect(await typesOf(run.log)).toEqual(['complete'])
  })

  it('leaves a run to another node where it began to stop while it was taking it', async () => {
    await using place = await newPlace()
    const taking = Promise.withResolvers<void>()
    const goOn = Promise.withResolvers<void>()
    let isFirst = true
    storeWith(place.store, (log) => {
      const appendOnce = log.appendOnce.bind(log)
      log.appendOnce = async (batch: readonly Append[], once: OnceKey) => {
        const claims = once.key.startsWith('epoch:') && isFirst
        if (claims) {
          isFirst = false
          taking.resolve()
          await goOn.promise
        }
        return appendOnce(batch, once)
      }
    })
    let begunHere = false
    const here = await place.node(async () => {
      begunHere = true
      return succeeded()
    })
    await here.recover()
    const accepted = await here.runs.submit(anywhere, never)
    await taking.promise
    // Once this is over, what the work would need is closed.
    await here.runs.close()
    goOn.resolve()
    await isDoneElsewhere(place, accepted.id)
    expect([begunHere, here.runs.size, here.errors]).toEqual([false, 0, []])
  })

  it('cancels what another node executes, and what waits for one', async () => {
    await using place = await newPlace()
    const busy = await place.node(untilStopped, { concurrency: 1 })
    const other = await place.node(never)
    await busy.recover()
    const [first, second] = [await busy.runs.submit(anywhere, never), await busy.runs.submit(anywhere, never)]
    await until(() => busy.runs.runningCount === 1)
    const waiting = (await other.runs.find(first?.id ?? '')).status === 'accepted' ? first : second
    const running = waiting === first ? second : first
    const cancel = async (id: string) => cancelRun(await other.runs.find(id), other.runs, systemClock)
    expect(await cancel(running.id)).toMatchObject({ status: 'cancelled', cancelled: true })
    expect(await cancel(running.id)).toMatchObject({ status: 'cancelled', cancelled: false })
    await until(() => busy.runs.runningCount === 1)
    expect(await cancel(waiting.id)).toMatchObject({ status: 'cancelled' })
  })

  it('says that it has not cancelled what has ended otherwise in that moment', async () => {
    await using place = await newPlace()
    const [ending, cancelled] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    storeWith(place.store, (log) => {
      const close = log.close.bind(log)
      log.close = async (...terminal) => {
        ending.resolve()
        await cancelled.promise
        return close(...terminal)
      }
    })
    const held = heldWork()
    const owner = await place.node(held.work)
    const other = await place.node(never)
    await owner.recover()
    const accepted = await other.runs.submit(anywhere, never)
    const run = await held.begun
    expect(run.id).toBe(accepted.id)
    held.end(succeeded())
    await ending.promise
    const answer = cancelRun(await other.runs.find(run.id), other.runs, systemClock)
    await until(() => run.isEndStored)
    cancelled.resolve()
    expect(await answer).toEqual({ runId: run.id, status: 'succeeded', cancelled: false })
  })

  it('fences a node that had a run before: it is put down there, and ends as the other says', async () => {
    await using place = await newPlace()
    const stale = heldWork()
    const frozen = new FakeClock()
    const first = await place.node(never, { queueClock: frozen })
    const run = await first.runs.start({ ...anyRun(1), request: {} }, stale.work)
    const step = { step: 1, totalSteps: 2, progress: 50 }
    await run.emit('progress', step)
    const next = heldWork()
    const other = await place.node(next.work)
    const statusOf = async () => (await other.runs.find(run.id)).status
    expect(await statusOf()).toBe('running')
    await expect.poll(statusOf, { timeout: 10_000 }).toBe('unreachable')
    await other.recover()
    const taken = await next.begun
    expect(taken.id).toBe(run.id)
    expect(await statusOf()).toBe('running')
    // It hears of the other before it is told by the queue, and before it appends anything.
    await run.suspended
    frozen.advance(LOCK_MS)
    expect(run.signal.aborted).toBe(true)
    await expect(run.emit('progress', step)).rejects.toMatchObject({ code: 'run_suspended' })
    next.end({ ...succeeded(), successCount: 0, errorCount: 1 })
    await taken.ended
    expect(await typesOf(run.log)).toEqual(['progress', 'complete'])
    const known = await first.runs.find(run.id)
    expect((await eventsOf(await known.openLog())).at(-1)).toMatchObject({ data: { status: 'failed' } })
  })

  it('gives up a run that no node survives, once it was taken over in vain as often as is allowed', async () => {
    await using place = await newPlace()
    const deaths: (() => Promise<void>)[] = []
    const [survivable, deadly] = ['a', 'b'].map((id) => ({ id, name: id, source: 'worker' }))
    if (survivable === undefined || deadly === undefined) throw new Error('no tasks')
    const nodeThatDies = async () => {
      const begun = Promise.withResolvers<void>()
      const node = await place.node(
        async (run) => {
          const past = run.resumed
            ? await readRunPast(run.log, { clock: systemClock, end: run.suspended })
            : undefined
          const tasks = [survivable, deadly]
          const board = new TaskBoard(run, tasks, { clock: systemClock, maxEventBytes: 131_072, past })
          if (run.signal.aborted) return board.finish()
          const first = board.goOn('a', true)
          if (first !== undefined && run.takeovers === 1) {
            await board.start('a', first)
            board.complete('a', { status: 200, headers: {}, body: 'done', truncated: false })
          }
          const attempt = board.goOn('b', true)
          if (attempt === undefined) return board.finish()
          await board.start('b', attempt)
          begun.resolve()
          return never(run)
        },
        { maxTakeovers: 2 },
      )
      await node.recover()
      deaths.push(node.kill)
      return begun.promise
    }
    const here = await place.node(never)
    const { id } = await here.runs.submit({ ...anywhere, totalTasks: 2 }, never)
    // The second to take it comes further with it, and so counts as the first.
    for (let n = 0; n < 4; n++) {
      await nodeThatDies()
      await deaths.at(-1)?.()
    }
    void nodeThatDies()
    await expect
      .poll(async () => (await here.runs.find(id)).view(), { timeout: 20_000 })
      .toMatchObject({ status: 'partial', successCount: 1, errorCount: 1 })
    const events = await eventsOf(await (await here.runs.find(id)).openLog())
    expect(events.slice(-4).map(({ type }) => type)).toEqual([
      'task_error',
      'progress',
      'aggregated_result',
      'complete',
    ])
    expect(events.filter(({ type }) => type === 'task_start')).toHaveLength(5)
    expect(events.at(-1)).toMatchObject({ data: { errors: [{ taskId: 'b', code: 'worker_lost' }] } })
  }, 60_000)

  it('starts one run for a key, at whichever nodes it is used at once', async () => {
    await using place = await newPlace()
    const nodes = [await place.node(untilStopped), await place.node(untilStopped)] as const
    const once = { key: randomUUID(), fingerprint: 'f', windowMs: 60_000 }
    const started = await Promise.all(
      [0, 1, 0, 1].map((n) => nodes[n === 0 ? 0 : 1].runs.startOnce(once, anywhere, never)),
    )
    expect(new Set(started.map(({ run }) => run.id)).size).toBe(1)
    expect(started.filter(({ replayed }) => !replayed)).toHaveLength(1)
    const refused = nodes[1].runs.startOnce({ ...once, fingerprint: 'g' }, anywhere, never)
    await expect(refused).rejects.toMatchObject({ code: 'idempotency_conflict' })
  })

  it('goes on with what was prepared for a key by a node that was killed before it had accepted the run', async () => {
    await using place = await newPlace()
    const { claims } = runIndexKeys(place.prefix, 'worker')
    const [dead, next] = [await place.node(untilStopped), await place.node(untilStopped)]
    const once = { key: randomUUID(), fingerprint: 'f', windowMs: 60_000 }
    const preparing = Promise.withResolvers<Run>()
    const options = { ...anyRun(1), request: { a: 1 } }
    const prepare = (run: Run) => {
      preparing.resolve(run)
      return new Promise<void>(() => undefined)
    }
    void dead.runs.startOnce(once, { ...options, prepare }, never)
    const { id } = await preparing.promise
    const prepared: string[] = []
    const again = next.runs.startOnce(
      once,
      { ...options, prepare: async ({ preparedAs }) => void prepared.push(preparedAs) },
      untilStopped,
    )
    await dead.kill()
    // As when its time is over.
    await place.redis.call((client) => client.zadd(claims, 1, id))
    const { run } = await again
    expect(run.id).not.toBe(id)
    expect(prepared).toEqual([id])
    // Also for who takes it over.
    const held = heldWork()
    const third = await place.node(held.work)
    await next.kill()
    await third.recover()
    const taken = await held.begun
    expect([taken.id, taken.preparedAs]).toEqual([run.id, id])
    held.end(succeeded())
    await taken.ended
  }, 30_000)

  it('keeps what was prepared for who asks again with the key, and ends it where there is none', async () => {
    await using place = await newPlace()
    const here = await place.node(never)
    const abandoned: string[] = []
    const prepared: string[] = []
    const options = {
      ...anyRun(1),
      prepare: async ({ preparedAs }: Run) => {
        prepared.push(preparedAs)
        if (prepared.length < 3) throw new Error('it is not accepted after all')
      },
      abandon: async () => void abandoned.push('ended'),
    }
    await expect(here.runs.start(options, never)).rejects.toThrow('after all')
    expect(abandoned).toEqual(['ended'])
    const once = { key: randomUUID(), fingerprint: 'f', windowMs: 60_000 }
    await expect(here.runs.startOnce(once, options, never)).rejects.toThrow('after all')
    expect(abandoned).toEqual(['ended'])
    const { run } = await here.runs.startOnce(once, options, never)
    expect(prepared).toEqual([expect.any(String), prepared[1], prepared[1]])
    expect(run.id).not.toBe(prepared[1])
  })

  it('begins a run once that was queued, where its node heard no answer to that', async () => {
    await using place = await newPlace()
    const held = heldWork()
    const there = await place.node(held.work)
    await there.recover()
    const here = await place.node(never)
    const add = here.queue.add.bind(here.queue)
    here.queue.add = async (run) => {
      await add(run)
      await held.begun
      throw new StoreUnavailableError('the answer was lost')
    }
    const once = { key: randomUUID(), fingerprint: 'f', windowMs: 60_000 }
    const { run, replayed } = await here.runs.startOnce(once, anywhere, never)
    expect(replayed).toBe(false)
    expect(here.errors).toMatchObject([{ message: expect.stringContaining('the answer was lost') }])
    expect((await there.runs.startOnce(once, anywhere, never)).run.id).toBe(run.id)
    expect((await held.begun).id).toBe(run.id)
    held.end(succeeded())
    await until(() => there.runs.runningCount === 0)
    expect((await there.runs.list()).runs).toMatchObject([{ runId: run.id, status: 'succeeded' }])
  })

  it('leaves a run to who has taken it meanwhile, where it was frozen before it held it', async () => {
    await using place = await newPlace()
    const held = heldWork()
    const there = await place.node(held.work)
    await there.recover()
    const here = await place.node(never)
    const hold = here.queue.hold.bind(here.queue)
    here.queue.hold = async (run, execute) => {
      // As who finds that nobody has it.
      await there.queue.add(run)
      await held.begun
      await hold(run, execute)
    }
    const run = await here.runs.submit(anyRun(1), never)
    expect(run.status).toBe('running')
    const release = run.hold()
    held.end(succeeded())
    await run.ended
    release()
    expect((await here.runs.find(run.id)).status).toBe('succeeded')
    expect([here.runs.size, here.runs.runningCount]).toEqual([0, 0])
  })

  it('queues again what the queue has lost', async () => {
    await using place = await newPlace()
    // Neither looks by itself.
    const clock = new FakeClock()
    const here = await place.node(never, { clock })
    const run = await here.runs.submit(anywhere, never)
    await place.loseQueue()
    const held = heldWork()
    const there = await place.node(held.work, { clock })
    await there.recover()
    await there.runs.sweep()
    expect(there.runs.runningCount).toBe(0)
    await there.runs.sweep()
    expect((await held.begun).id).toBe(run.id)
    await there.runs.sweep()
    held.end(succeeded())
    await until(() => there.runs.runningCount === 0)
    expect((await here.runs.find(run.id)).status).toBe('succeeded')
  })

  it('looks by itself for what the queue has lost', async () => {
    await using place = await newPlace()
    const here = await place.node(never)
    const run = await here.runs.submit(anywhere, never)
    await place.loseQueue()
    const clock = new FakeClock()
    const held = heldWork()
    const there = await place.node(held.work, { clock })
    await there.recover()
    const later = async () => {
      clock.advance(1_000)
      return there.runs.runningCount
    }
    await expect.poll(later, { timeout: 10_000 }).toBe(1)
    expect((await held.begun).id).toBe(run.id)
    held.end(succeeded())
    await until(() => there.runs.runningCount === 0)
  })

  it('forgets ended runs, whose logs are dropped by one node', async () => {
    await using place = await newPlace()
    const retention = { maxCount: 1 }
    const here = await place.node(async () => succeeded(), retention)
    const there = await place.node(async () => succeeded(), retention)
    await here.recover()
    const ids: string[] = []
    for (let n = 0; n < 3; n++) {
      const run = await there.runs.submit(anywhere, never)
      ids.push(run.id)
      await expect.poll(async () => (await there.runs.list({ status: 'succeeded' })).runs.length).toBe(n + 1)
    }
    await Promise.all([here.runs.sweep(), there.runs.sweep()])
    expect((await place.store.list({ prefix: 'run:' })).map(({ name }) => name)).toEqual([`run:${ids[2]}`])
    await expect(there.runs.find(ids[0] ?? '')).rejects.toMatchObject({ code: 'run_gone' })
  })
})
