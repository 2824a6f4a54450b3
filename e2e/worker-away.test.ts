import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { allDataOf, dataOf, EventCollector, lastingPort, ScriptedUpstream, steps } from '@tributary/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ServiceProcess, startWorker } from './processes.ts'
import { HYBRID, logged, MERGE, PARALLEL_TASKS, runIdOf, startGateway } from './services.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tributary-away-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** A worker that keeps its runs in the folder of the test, and comes back on the same port. */
async function startKeeper(env: Readonly<Record<string, string>> = {}) {
  const port = await lastingPort()
  const start = () =>
    startWorker({ cwd: folder, port, env: { STORE: 'sqlite', OUTBOUND_ALLOW: '127.0.0.1', ...env } })
  let worker: ServiceProcess = await start()
  return {
    url: worker.url,
    kill: () => worker.kill(),
    signal: (signal: NodeJS.Signals) => process.kill(Number(worker.pid), signal),
    async comeBack() {
      worker = await start()
    },
    [Symbol.asyncDispose]: () => worker.kill(),
  }
}

/** An API whose `/now` answers at once, and whose `/held` from the second call on. */
async function startApi() {
  const upstream = await ScriptedUpstream.start()
  const answer = steps.answer(200, { 'content-type': 'application/json' }, '{"ok":true}')
  return upstream.script('/now', [answer]).script('/held', [], [answer])
}

const ask = async (url: string, headers: Readonly<Record<string, string>> = {}) => {
  const answer = await fetch(url, { headers })
  return {
    status: answer.status,
    retryAfter: answer.headers.get('retry-after'),
    body: Object(await answer.json()),
  }
}

/** That a reader got every event of its log once and in order, to the end. */
function expectWhole(...readers: EventCollector[]): void {
  const places = readers.flatMap(logged).map(({ id }) => Number(id?.split('-').at(-1)))
  expect(places).toEqual(places.map((_, index) => index + 1))
  expect(readers.flatMap((reader) => reader.ofType('complete'))).toHaveLength(1)
  for (const reader of readers) expect(reader.ofType('gap')).toEqual([])
}

describe('a worker that is killed and comes back', () => {
  it('is waited for by the readers of its run, whose state says so meanwhile', async () => {
    await using api = await startApi()
    await using worker = await startKeeper()
    await using gateway = await startGateway({ workers: [worker] })
    const tasks = ['now', 'held'].map((id) => ({ id, url: `${api.url}/${id}` }))
    await using reader = await EventCollector.open(gateway.url + PARALLEL_TASKS, { body: { tasks } })
    const runId = runIdOf(reader)
    await reader.waitFor('task_complete')
    await api.waitForRequest('/held')
    await worker.kill()
    const told = await reader.waitFor('source_unavailable')
    expect(told.id).toBeUndefined()
    expect(told.data).toEqual({ source: 'worker', since: expect.any(Number), retryable: true })
    expect(await ask(`${gateway.url}/api/runs/${runId}`)).toMatchObject({
      status: 200,
      body: { runId, status: 'unreachable', kind: 'parallel-tasks', totalTasks: 2 },
    })
    expect((await ask(`${gateway.url}/api/runs`)).body).toEqual({
      runs: [expect.objectContaining({ runId, status: 'unreachable' })],
      unreachable: [worker.url],
    })
    expect((await ask(`${gateway.url}/api/runs?status=running`)).body).toEqual({
      runs: [],
      unreachable: [worker.url],
    })
    await worker.comeBack()
    await reader.ended
    expectWhole(reader)
    expect(reader.ofType('source_unavailable')).toHaveLength(1)
    expect(allDataOf(reader, 'task_retry')).toMatchObject([
      { taskId: 'held', attempt: 2, reason: 'worker_lost' },
    ])
    expect(await dataOf(reader, 'complete')).toMatchObject({ status: 'succeeded', successCount: 2 })
    expect((await ask(`${gateway.url}/api/runs/${runId}`)).body).toMatchObject({ status: 'succeeded' })
    expect((await ask(`${gateway.url}/api/runs`)).body.unreachable).toBeUndefined()
  })

  it('is waited for by merges and hybrid runs, which go on where they were', async () => {
    await using api = await startApi()
    await using worker = await startKeeper()
    await using gateway = await startGateway({ workers: [worker] })
    const flow = '/api/sse/flow-example?count=30&intervalMs=100'
    await using hybrid = await EventCollector.open(gateway.url + HYBRID, {
      body: {
        localTasks: [{ id: 'here', name: 'Calculate Stats', input: { numbers: [1, 2] } }],
        remoteTasks: ['now', 'held'].map((id) => ({ id, url: `${api.url}/${id}` })),
      },
    })
    await hybrid.waitForCount('task_complete', 2)
    await api.waitForRequest('/held')
    // Last, for it ends by itself, and on a slow machine the others take longer than that.
    await using merge = await EventCollector.open(gateway.url + MERGE, { body: [flow] })
    await merge.waitForCount('flow_item', 3)
    await worker.kill()
    await Promise.all([merge, hybrid].map((reader) => reader.waitFor('source_unavailable')))
    expect(allDataOf(merge, 'source_unavailable')).toMatchObject([{ source: flow, retryable: true }])
    expect(allDataOf(hybrid, 'source_unavailable')).toMatchObject([{ source: 'worker', retryable: true }])
    await worker.comeBack()
    await Promise.all([merge.ended, hybrid.ended])
    expectWhole(merge)
    expectWhole(hybrid)
    expect(merge.ofType('flow_item').map(({ data }) => Object(data).step)).toEqual(
      Array.from({ length: 30 }, (_, index) => index + 1),
    )
    expect(await dataOf(merge, 'complete')).toMatchObject({ status: 'succeeded' })
    expect(allDataOf(hybrid, 'task_retry')).toMatchObject([{ taskId: 'held', source: 'worker', attempt: 2 }])
    expect(await dataOf(hybrid, 'complete')).toMatchObject({ status: 'succeeded', successCount: 3 })
  })

  it('is noticed where it says nothing any more, too', async () => {
    const env = { HEARTBEAT_MS: '200' }
    await using api = await startApi()
    await using worker = await startKeeper(env)
    await using gateway = await startGateway({ workers: [worker], env })
    const tasks = ['now', 'held'].map((id) => ({ id, url: `${api.url}/${id}`, retries: 0 }))
    await using reader = await EventCollector.open(gateway.url + PARALLEL_TASKS, { body: { tasks } })
    await reader.waitFor('task_complete')
    const { closed } = await api.waitForRequest('/held')
    worker.signal('SIGSTOP')
    await reader.waitFor('source_unavailable')
    const list = await ask(`${gateway.url}/api/runs`)
    expect(list.body).toMatchObject({ runs: [{ status: 'unreachable' }], unreachable: [worker.url] })
    worker.signal('SIGCONT')
    api.disconnectAll()
    await closed
    await reader.ended
    expectWhole(reader)
    expect(await dataOf(reader, 'complete')).toMatchObject({
      status: 'partial',
      successCount: 1,
      errorCount: 1,
    })
  })
})

describe('a worker that stays away', () => {
  it('ends the streams of its run, which is gone on with once it is back', async () => {
    await using api = await startApi()
    await using worker = await startKeeper()
    await using gateway = await startGateway({ workers: [worker], env: { UPSTREAM_GIVE_UP_MS: '300' } })
    const tasks = ['now', 'held'].map((id) => ({ id, url: `${api.url}/${id}` }))
    await using first = await EventCollector.open(gateway.url + PARALLEL_TASKS, { body: { tasks } })
    const url = `${gateway.url}/api/runs/${runIdOf(first)}`
    await first.waitFor('task_complete')
    await api.waitForRequest('/held')
    await worker.kill()
    await first.ended
    expect(allDataOf(first, 'disconnected')).toEqual([{ reason: 'upstream_lost', reconnect: true }])
    expect(await ask(`${url}/events`)).toMatchObject({
      status: 503,
      retryAfter: '1',
      body: { code: 'upstream_unavailable' },
    })
    expect((await ask(url)).body).toMatchObject({ status: 'unreachable' })
    const headers = { 'last-event-id': String(first.lastEventId) }
    await using busy = await EventCollector.open(`${url}/events`, { headers })
    await busy.ended
    expect(busy.status).toBe(200)
    expect(busy.retries[0]).toBeGreaterThanOrEqual(1_000)
    expect(busy.events).toMatchObject([{ type: 'disconnected', data: { reason: 'busy', reconnect: true } }])
    expect(busy.lastEventId).toBe(first.lastEventId)
    await worker.comeBack()
    await using rest = await EventCollector.open(`${url}/events`, { headers })
    await rest.ended
    expectWhole(first, rest)
    expect(await dataOf(rest, 'complete')).toMatchObject({ status: 'succeeded' })
  })

  it('is an error of its source in a merge, and loses the tasks of a hybrid run', async () => {
    await using api = await startApi()
    await using worker = await startKeeper()
    await using gateway = await startGateway({
      workers: [worker],
      upstreams: [api],
      env: { UPSTREAM_GIVE_UP_MS: '300' },
    })
    const go = Promise.withResolvers<void>()
    api.script('/foreign', [steps.open(), steps.until(go.promise), steps.frame({ data: 1 }), steps.end()])
    const flow = { name: 'flow', endpoint: '/api/sse/flow-example?count=1000&intervalMs=100' }
    await using merge = await EventCollector.open(gateway.url + MERGE, {
      body: [flow, { name: 'foreign', endpoint: `${api.url}/foreign` }],
    })
    await using hybrid = await EventCollector.open(gateway.url + HYBRID, {
      body: {
        localTasks: [{ id: 'here', name: 'Calculate Stats', input: { numbers: [1, 2] } }],
        remoteTasks: ['now', 'held'].map((id) => ({ id, url: `${api.url}/${id}` })),
      },
    })
    await Promise.all([merge.waitFor('flow_item'), hybrid.waitForCount('task_complete', 2)])
    await api.waitForRequest('/held')
    await worker.kill()
    await Promise.all([merge.waitFor('source_error'), hybrid.ended])
    go.resolve()
    await merge.ended
    expectWhole(merge)
    expect(allDataOf(merge, 'source_error')).toMatchObject([{ source: 'flow', code: 'worker_lost' }])
    expect(await dataOf(merge, 'complete')).toMatchObject({
      status: 'partial',
      successCount: 1,
      errorCount: 1,
    })
    expectWhole(hybrid)
    expect(allDataOf(hybrid, 'source_error')).toMatchObject([{ source: 'worker', code: 'worker_lost' }])
    expect(allDataOf(hybrid, 'error')).toMatchObject([{ taskId: 'held', code: 'worker_lost' }])
    expect(await dataOf(hybrid, 'complete')).toMatchObject({
      status: 'partial',
      successCount: 2,
      errorCount: 1,
    })
  })
})
