import { setTimeout as passed } from 'node:timers/promises'
import { RedisConnections } from '@tributary/redis'
import { startRedis, TcpProxy } from '@tributary/testkit'
import { describeWithRedis, describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { BullRunQueue, type BullRunQueueOptions } from '../src/bullmq/index.ts'
import { runQueueKeys } from '../src/bullmq/redis-keys.ts'
import { Executor, runQueueContract } from './run-queue-contract.ts'

/** Quick enough for a test, and still longer than this machine pauses. */
const LOCK_MS = 1_500
/** Who was away from Redis leaves runs to their owners for some seconds. */
const LATER = { timeout: 20_000 }

/** A node with connections of its own. `cut` ends them: for the others it is as if the process were killed. */
async function openNode(url: string, prefix: string, options: Partial<BullRunQueueOptions> = {}) {
  const redis = await RedisConnections.open({ url })
  const queue = await BullRunQueue.open({ redis, prefix, name: 'worker', lockMs: LOCK_MS, ...options })
  return {
    queue,
    redis,
    cut: () => redis[Symbol.asyncDispose](),
    async [Symbol.asyncDispose]() {
      await queue[Symbol.asyncDispose]()
      await redis[Symbol.asyncDispose]()
    },
  }
}

describeWithRedis('BullRunQueue', (redis) => {
  runQueueContract('BullRunQueue', async () => {
    const prefix = redis.prefix()
    const opened = await RedisConnections.open({ url: redis.url })
    return {
      open: () => BullRunQueue.open({ redis: opened, prefix, name: 'worker', lockMs: LOCK_MS }),
      [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
    }
  })

  it('leaves nothing in Redis of runs that have ended but its own marks', async () => {
    const prefix = redis.prefix()
    await using node = await openNode(redis.url, prefix)
    const executor = new Executor()
    node.queue.take(executor.execute)
    for (const n of [1, 2, 3]) await node.queue.add({ runId: `run_${n}`, userId: 'ann' })
    await node.queue.hold({ runId: 'run_4', userId: 'ann' }, executor.execute)
    await executor.until(4)
    for (const runId of executor.begun) executor.rest(runId)
    const keys = () => node.redis.call((client) => client.keys(`*${prefix}*`))
    await expect
      .poll(async () =>
        (await keys()).filter((key) => /run_|turns|:(active|wait|delayed|completed)$/.test(key)),
      )
      .toEqual([])
  })

  it('lets users take turns, however many runs each has waiting', async () => {
    await using node = await openNode(redis.url, redis.prefix(), { concurrency: 1 })
    const executor = new Executor()
    for (let n = 1; n <= 20; n++) await node.queue.add({ runId: `ann_${n}`, userId: 'ann' })
    for (const n of [1, 2]) await node.queue.add({ runId: `bob_${n}`, userId: 'bob' })
    node.queue.take(executor.execute)
    for (let n = 1; n <= 6; n++) executor.rest((await executor.until(n))[n - 1] ?? '')
    // Who comes when the others have had some turns waits for one, and not for all that was there before.
    await executor.until(7)
    await node.queue.add({ runId: 'carol_1', userId: 'carol' })
    for (let n = 7; n <= 9; n++) executor.rest((await executor.until(n))[n - 1] ?? '')
    await executor.until(10)
    const users = executor.begun.map((runId) => runId.split('_')[0])
    expect(users.slice(0, 4).toSorted()).toEqual(['ann', 'ann', 'bob', 'bob'])
    expect(users.slice(7, 10)).toContain('carol')
    await node.queue.pause()
    executor.rest(executor.begun[9] ?? '')
  })

  it('gives to another what a node that is gone had, whether it waited for it or held it', async () => {
    const prefix = redis.prefix()
    const [gone, other] = [new Executor(), new Executor()]
    const dead = await openNode(redis.url, prefix)
    dead.queue.take(gone.execute)
    await dead.queue.add({ runId: 'run_1', userId: 'ann' })
    await dead.queue.hold({ runId: 'run_2', userId: 'ann' }, gone.execute)
    await gone.until(2)
    await using node = await openNode(redis.url, prefix)
    node.queue.take(other.execute)
    await dead.cut()
    expect((await other.until(2)).toSorted()).toEqual(['run_1', 'run_2'])
    for (const runId of other.begun) other.rest(runId)
  })

  it('gives to another in time also what a node had whose clock was ahead', async () => {
    const prefix = redis.prefix()
    const [gone, other] = [new Executor(), new Executor()]
    const dead = await openNode(redis.url, prefix)
    await dead.queue.hold({ runId: 'run_1', userId: 'ann' }, gone.execute)
    await dead.queue.hold({ runId: 'run_2', userId: 'ann' }, gone.execute)
    gone.rest('run_2', 'unfinished')
    await using node = await openNode(redis.url, prefix)
    const { owned, delayed } = runQueueKeys(prefix, 'worker')
    // Run 2 waits for nobody, and has no owner.
    await expect
      .poll(() => node.redis.call((client) => client.zrangebyscore(owned, '-inf', '+inf')))
      .toEqual(['run_1'])
    await dead.cut()
    const hourLater = String((Date.now() + 3_600_000) * 4_096)
    await node.redis.call((client) =>
      client.eval(
        "for _, run in ipairs({ 'run_1', 'run_2' }) do redis.call('ZADD', KEYS[1], ARGV[1], run) end",
        1,
        delayed,
        hourLater,
      ),
    )
    node.queue.take(other.execute)
    expect((await other.until(2)).toSorted()).toEqual(['run_1', 'run_2'])
    for (const runId of other.begun) other.rest(runId)
  })

  it('tells who executes a run that it is lost', async () => {
    const prefix = redis.prefix()
    await using node = await openNode(redis.url, prefix)
    const lost = Promise.withResolvers<string>()
    node.queue.take(async ({ runId, lost: signal }) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      lost.resolve(runId)
      return 'unfinished'
    })
    await node.queue.add({ runId: 'run_1', userId: 'ann' })
    const { owners } = runQueueKeys(prefix, 'worker')
    await expect.poll(() => node.redis.call((client) => client.hexists(owners, 'run_1'))).toBe(1)
    // As after a time in which this node was frozen.
    await node.redis.call((client) => client.hset(owners, 'run_1', 'another'))
    expect(await lost.promise).toBe('run_1')
    await node.queue.pause()
  })

  it('executes here at once what waits and is in a hurry', async () => {
    const prefix = redis.prefix()
    await using node = await openNode(redis.url, prefix, { concurrency: 1 })
    const executor = new Executor()
    node.queue.take(executor.execute)
    for (const n of [1, 2, 3]) await node.queue.add({ runId: `run_${n}`, userId: 'ann' })
    await executor.until(1)
    expect(await node.queue.hurry({ runId: 'run_3', userId: 'ann' })).toBe(true)
    expect(executor.begun).toEqual(['run_1', 'run_3'])
    executor.rest('run_3')
    executor.rest('run_1')
    expect(await executor.until(3)).toEqual(['run_1', 'run_3', 'run_2'])
    executor.rest('run_2')
  })
})

describeWithRedisServers('BullRunQueue without Redis for a moment', () => {
  it('is opened all the same', async () => {
    await using server = await startRedis()
    await using network = await TcpProxy.start(server.port)
    await using redis = await RedisConnections.open({ url: `redis://127.0.0.1:${network.port}` })
    network.refuse()
    await expect.poll(() => redis.status.state).toBe('down')
    const errors: unknown[] = []
    const onError = (error: unknown) => void errors.push(error)
    const opening = BullRunQueue.open({ redis, prefix: 'test', name: 'worker', onError })
    network.restore()
    await using queue = await opening
    await queue.add({ runId: 'run_1', userId: 'ann' })
    expect(await queue.missing(['run_1', 'run_2'])).toEqual(['run_2'])
    expect(errors).toEqual([])
  })

  it('accepts runs all the same', async () => {
    await using server = await startRedis()
    await using network = await TcpProxy.start(server.port)
    await using node = await openNode(`redis://127.0.0.1:${network.port}`, 'test')
    network.refuse()
    await expect.poll(() => node.redis.status.state).toBe('down')
    const executor = new Executor()
    const accepted = Promise.all([
      node.queue.add({ runId: 'run_1', userId: 'ann' }),
      node.queue.hold({ runId: 'run_2', userId: 'ann' }, executor.execute),
    ])
    network.restore()
    await accepted
    expect(await node.queue.missing(['run_1', 'run_2'])).toEqual([])
    executor.rest('run_2')
  })
})

describeWithRedisServers('BullRunQueue without Redis for longer than a lock', () => {
  it('leaves runs to the node that has them and lives, and gives those of a dead one to another', async () => {
    await using server = await startRedis({ persistent: true })
    const [prefix, runIds] = ['test', ['run_1', 'run_2', 'run_3']]
    await using owner = await openNode(server.url, prefix)
    using lives = new Executor()
    owner.queue.take(lives.execute)
    await owner.queue.add({ runId: 'run_1', userId: 'ann' })
    await owner.queue.hold({ runId: 'run_2', userId: 'ann' }, lives.execute)
    await lives.until(2)
    const dead = await openNode(server.url, prefix)
    await dead.queue.hold({ runId: 'run_3', userId: 'ann' }, new Executor().execute)
    await using other = await openNode(server.url, prefix)
    using takes = new Executor()
    other.queue.take(takes.execute)
    await dead.cut()
    await server.kill()
    // The time of a lock is what this is about.
    await passed(2 * LOCK_MS)
    await server.restart()
    await expect.poll(() => other.queue.unreachable(['run_1', 'run_2']), LATER).toEqual(new Set())
    const begun = () => [...lives.begun, ...takes.begun].toSorted()
    await expect.poll(begun, LATER).toEqual(runIds)
    const { delayed } = runQueueKeys(prefix, 'worker')
    const waitsUntil = (runId: string) => owner.redis.call((client) => client.zscore(delayed, runId))
    for (const runId of ['run_1', 'run_2']) {
      await expect.poll(() => waitsUntil(runId), LATER).not.toBeNull()
    }
    expect(begun()).toEqual(runIds)
    // Whoever has a job in hand as its run ends is the one to see that it has.
    for (const executor of [lives, takes]) executor.endAll()
    await expect.poll(() => other.queue.missing(runIds), LATER).toEqual(runIds)
  }, 90_000)
})
