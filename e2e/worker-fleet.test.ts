import { randomBytes } from 'node:crypto'
import { setTimeout as passed } from 'node:timers/promises'
import { EventCollector, type RedisServer, startRedis } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type CountingApi, startCountingApi } from './counting-api.ts'
import { CONCURRENCY, expectKept, ofTasks, tasksOf } from './kept-run.ts'
import { KeptWorker, loggedBy } from './kept-worker.ts'

/** Shorter than by default, so that a takeover is, too. */
const LEASE_MS = 2_500
const TAKEOVER = { timeout: 20_000 }

describeWithRedisServers('workers of one Redis', () => {
  let redis: RedisServer

  beforeAll(async () => {
    redis = await startRedis({ persistent: true })
  })
  afterAll(() => redis?.[Symbol.asyncDispose]())

  /** Workers of a fleet of their own, one after the other. */
  function newFleet(env: Readonly<Record<string, string>> = {}) {
    const shared = {
      REDIS_URL: redis.url,
      REDIS_PREFIX: `test-${randomBytes(6).toString('hex')}`,
      NODE_LEASE_MS: String(LEASE_MS),
      ...env,
    }
    return () => KeptWorker.start(shared)
  }

  const calls = (api: CountingApi) => new Map(api.calls)

  async function viewOf(worker: KeptWorker, runId: string): Promise<Record<string, unknown>> {
    return Object(await (await fetch(`${worker.url}/api/runs/${runId}`)).json())
  }

  it('go on with the runs of one that is killed, and no reader sees anything twice, or misses any', async () => {
    const startNext = newFleet()
    await using api = await startCountingApi()
    await using first = await startNext()
    const { runId } = await first.start({ tasks: tasksOf(api), concurrency: CONCURRENCY })
    await api.called('/held-post', 2)
    await using other = await startNext()
    await using there = await other.read(runId)
    await using here = await first.read(runId)
    await there.waitFor('task_retry')
    await first.kill()
    await here.ended
    const death = { told: loggedBy(here), calls: calls(api) }
    api.release('/held')
    await there.waitFor('complete', 30_000)
    const events = loggedBy(there)
    expectKept(events, api, [death])
    expect(await other.readAll(runId, death.told.at(-1)?.id)).toEqual(events.slice(death.told.length))
    expect((await other.read(runId, events.at(-1)?.id)).status).toBe(204)
    expect(await viewOf(other, runId)).toMatchObject({ status: 'partial', totalTasks: 20 })
  })

  it('take a run from one that is frozen for too long, which then lets go of it and reads on', async () => {
    const startNext = newFleet()
    await using api = await startCountingApi()
    await using frozen = await startNext()
    const { runId } = await frozen.start({ tasks: tasksOf(api), concurrency: CONCURRENCY })
    await using reader = await frozen.read(runId)
    await api.called('/held-post', 2)
    await using other = await startNext()
    await using there = await other.read(runId)
    await reader.waitFor('task_retry')
    const death = { told: loggedBy(reader), calls: calls(api) }
    const before = api.heldCount
    frozen.freeze()
    try {
      // The other begins anew what may be: as many calls again, while the frozen one still has its own.
      await there.waitForCount(({ type, data }) => type === 'task_start' && Object(data).attempt > 1, 5)
      await expect.poll(() => api.heldCount, TAKEOVER).toBeGreaterThan(before)
    } finally {
      frozen.thaw()
    }
    // Its sockets are closed, though nothing was answered.
    await expect.poll(() => api.heldCount, TAKEOVER).toBeLessThanOrEqual(CONCURRENCY)
    api.release('/held')
    await Promise.all([there, reader].map((each) => each.waitFor('complete', 30_000)))
    const events = loggedBy(there)
    expectKept(events, api, [death])
    expect(loggedBy(reader)).toEqual(events)
  })

  it('tell of each other’s runs, page by page, and cancel them', async () => {
    const startNext = newFleet()
    await using api = await startCountingApi()
    await using first = await startNext()
    const tasks = [{ id: 'a', url: `${api.url}/held` }]
    const { runId } = await first.start({ tasks })
    await api.called('/held', 1)
    await using other = await startNext()
    expect(await viewOf(other, runId)).toMatchObject({ runId, status: 'running', totalTasks: 1 })
    const list = await (await fetch(`${other.url}/api/runs`)).json()
    expect(list).toMatchObject({ runs: [{ runId, status: 'running' }] })
    const page = await fetch(`${other.url}/api/runs/${runId}/events`, {
      headers: { accept: 'application/json' },
    })
    expect(await page.json()).toMatchObject({ events: [{ type: 'task_start' }] })
    const cancel = await fetch(`${other.url}/api/runs/${runId}/cancel`, { method: 'POST' })
    expect(await cancel.json()).toEqual({ runId, status: 'cancelled', cancelled: true })
    await expect.poll(() => api.heldCount).toBe(0)
    for (const worker of [first, other]) {
      expect(await viewOf(worker, runId)).toMatchObject({ status: 'cancelled', errorCount: 1 })
    }
    expect(await other.start({ tasks: [{ url: `${api.url}/now` }] })).toMatchObject({
      runId: expect.any(String),
    })
  })

  it('start one run for a key that is used at both at once, and answer it at both', async () => {
    const startNext = newFleet()
    await using api = await startCountingApi()
    await using first = await startNext()
    await using other = await startNext()
    const body = { tasks: [{ id: 'a', url: `${api.url}/held` }] }
    const headers = { 'idempotency-key': 'once' }
    const started = await Promise.all(
      [first, other, first, other].map((worker) => worker.start(body, headers)),
    )
    expect(new Set(started.map(({ runId }) => runId)).size).toBe(1)
    const replayed = started.map(({ answer }) => answer.headers.get('idempotent-replayed'))
    expect(replayed.filter((header) => header === 'true')).toHaveLength(3)
    await api.called('/held', 1)
    api.release('/held')
    const [run] = started
    const events = await other.readAll(run?.runId ?? '')
    expect(ofTasks(events, 'task_complete')).toHaveLength(1)
    expect(api.calls.get('/held')).toBe(1)
  })

  it('hand their runs to another when they drain, those that wait and those under way', async () => {
    const startNext = newFleet({ RUNS_CONCURRENCY: '1', DRAIN_MS: '1000' })
    await using api = await startCountingApi()
    await using first = await startNext()
    const tasksAt = (path: string) => ({ tasks: [{ id: 'a', url: `${api.url}${path}` }] })
    const running = await first.start(tasksAt('/held-running'))
    await api.called('/held-running', 1)
    const waiting = await first.start(tasksAt('/now-waiting'))
    await using other = await startNext()
    const stopped = first.stop()
    expect((await other.readAll(waiting.runId)).at(-1)?.data).toMatchObject({ status: 'succeeded' })
    await stopped
    await api.called('/held-running', 2)
    api.release('/held')
    expect((await other.readAll(running.runId)).at(-1)?.data).toMatchObject({ status: 'succeeded' })
  })

  it('go on over a restart of Redis, with nothing twice and nothing missing', async () => {
    const startNext = newFleet()
    await using api = await startCountingApi()
    await using first = await startNext()
    await using other = await startNext()
    const { runId } = await first.start({ tasks: tasksOf(api), concurrency: CONCURRENCY })
    await using here = await first.read(runId)
    await using there = await other.read(runId)
    await api.called('/held-post', 2)
    await there.waitFor('task_retry')
    const death = { told: loggedBy(there), calls: calls(api) }
    await redis.restart()
    api.release('/held')
    await Promise.all([here, there].map((each) => each.waitFor('complete', 30_000)))
    expectKept(loggedBy(there), api, [death])
    expect(loggedBy(here)).toEqual(loggedBy(there))
  })

  it('keep their runs when Redis is away for longer than a lease, and no task is called twice or lost', async () => {
    const startNext = newFleet()
    await using api = await startCountingApi()
    await using first = await startNext()
    await using other = await startNext()
    const { runId } = await first.start({ tasks: tasksOf(api), concurrency: CONCURRENCY })
    await using reader = await first.read(runId)
    await api.called('/held-post', 2)
    await expect.poll(() => viewOf(other, runId)).toMatchObject({ status: 'running' })
    const { successCount } = await viewOf(first, runId)
    await expect.poll(async () => Number((await viewOf(other, runId)).successCount)).toBeGreaterThan(0)
    expect(Number(successCount)).toBeGreaterThan(0)
    await redis.kill()
    // The time of a lease is what this is about.
    await passed(2 * LEASE_MS)
    api.release('/held')
    await redis.restart()
    await reader.waitFor('complete', 30_000)
    expect(ofTasks(loggedBy(reader), 'task_error')).toEqual([])
    for (const [path, count] of api.calls)
      if (path.startsWith('/held')) expect([path, count]).toEqual([path, 1])
    expect(await viewOf(other, runId)).toMatchObject({ status: 'succeeded', successCount: 20 })
  }, 60_000)

  it('answer the stream of a run with its POST wherever it is executed', async () => {
    const startNext = newFleet({ RUNS_CONCURRENCY: '1' })
    await using api = await startCountingApi()
    await using busy = await startNext()
    await busy.start({ tasks: [{ url: `${api.url}/held` }] })
    await api.called('/held', 1)
    await using other = await startNext()
    const stream = await EventCollector.open(`${busy.url}/api/sse/emitter/parallel-tasks`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ tasks: [{ id: 'a', url: `${api.url}/now` }] }),
    })
    await stream.waitFor('complete', 20_000)
    expect(loggedBy(stream).map(({ type }) => type)).toContain('task_complete')
    expect(await viewOf(other, String(stream.headers['run-id']))).toMatchObject({ status: 'succeeded' })
    api.release('/held')
  })
})
