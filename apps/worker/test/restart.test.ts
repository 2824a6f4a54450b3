import { allDataOf, EventCollector } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { recoverRuns } from '../src/tasks/recover-runs.ts'
import { serveHeld } from './held-api.ts'
import { serveHttp } from './local-server.ts'
import { gatewayHeaders, type RunningWorker } from './running-worker.ts'
import { openFolder } from './worker-folder.ts'

/** Ends a worker without finishing or telling anything. */
const end = (worker: RunningWorker) => worker[Symbol.asyncDispose]()

const readAll = async (worker: RunningWorker, runId: string) => {
  const events = await EventCollector.open(`${worker.url}/api/runs/${runId}/events`)
  await events.ended
  return events
}

describe('a worker that comes back', () => {
  it('skips what is done, tries again what may be, and fails the rest', async () => {
    await using folder = await openFolder()
    await using api = await serveHeld()
    const first = await folder.start()
    const { runId } = await first.start({
      concurrency: 3,
      tasks: [
        { id: 'done', url: `${api.url}/done` },
        { id: 'get', url: `${api.url}/get` },
        { id: 'post', url: `${api.url}/post`, method: 'POST' },
        { id: 'put', url: `${api.url}/put`, method: 'PUT', idempotent: true },
        { id: 'later', url: `${api.url}/later`, method: 'POST' },
      ],
    })
    await api.called(3)
    await api.answer('/done')
    await api.called(4)
    await end(first)
    await using second = await folder.start()
    // It can be read before it goes on.
    const early = await EventCollector.open(`${second.url}/api/runs/${runId}/events`)
    await early.waitFor('task_complete')
    await recoverRuns(second.deps)
    for (const path of ['/get', '/put', '/later']) await api.answer(path)
    await early.ended
    expect(api.calls.toSorted()).toEqual(
      ['GET /done', 'GET /get', 'GET /get', 'POST /later', 'POST /post', 'PUT /put', 'PUT /put'].toSorted(),
    )
    expect(
      allDataOf(early, 'task_retry').map(({ taskId, attempt, reason }) => [taskId, attempt, reason]),
    ).toEqual([
      ['get', 2, 'worker_lost'],
      ['put', 2, 'worker_lost'],
    ])
    expect(allDataOf(early, 'task_error')).toMatchObject([
      { taskId: 'post', code: 'worker_lost', attempt: 1 },
    ])
    expect(allDataOf(early, 'complete')).toMatchObject([
      { status: 'partial', successCount: 4, errorCount: 1 },
    ])
    expect((await readAll(second, runId)).events.map(({ id }) => id)).toEqual(
      early.events.map(({ id }) => id),
    )
  })

  it('keeps to what the request said', async () => {
    await using folder = await openFolder()
    await using api = await serveHeld()
    const first = await folder.start()
    const { runId } = await first.start({
      concurrency: 1,
      maxResultBytes: 3,
      tasks: ['a', 'b', 'c'].map((id) => ({
        id,
        name: `Task ${id}`,
        url: `${api.url}/${id}`,
        method: 'POST',
        idempotent: true,
        headers: { 'x-id': id },
      })),
    })
    await api.called(1)
    await end(first)
    await using second = await folder.start({ TASK_CONCURRENCY: '9' })
    await recoverRuns(second.deps)
    for (const id of ['a', 'b', 'c']) {
      await api.answer(`/${id}`, 'too long')
    }
    const events = await readAll(second, runId)
    expect(api.calls).toEqual(['POST /a', 'POST /a', 'POST /b', 'POST /c'])
    expect(allDataOf(events, 'task_complete').map(({ taskName, result }) => [taskName, result.body])).toEqual(
      ['a', 'b', 'c'].map((id) => [`Task ${id}`, 'dG9v']),
    )
  })

  it('fails the task that it refuses now, and no other', async () => {
    await using folder = await openFolder()
    await using api = await serveHeld()
    const first = await folder.start()
    const { runId } = await first.start({
      concurrency: 1,
      tasks: [{ id: 'a', url: `${api.url}/a` }, 'Any Name', { id: 'b', url: `${api.url}/b` }],
    })
    await api.called(1)
    await end(first)
    // In production there are no handlers but those that are registered.
    const secret = 'a secret of thirty-two characters'
    await using second = await folder.start({ NODE_ENV: 'production', WORKER_SECRET: secret })
    await recoverRuns(second.deps)
    await api.answer('/a')
    await api.answer('/b')
    const headers = await gatewayHeaders(secret)
    const events = await EventCollector.open(`${second.url}/api/runs/${runId}/events`, { headers })
    await events.ended
    expect(allDataOf(events, 'task_error')).toMatchObject([
      {
        taskId: 'task-2',
        code: 'task_failed',
        error: expect.stringContaining('no handler is called "Any Name"'),
      },
    ])
    expect(allDataOf(events, 'complete')).toMatchObject([{ successCount: 2, errorCount: 1 }])
  })

  it('may not call now what it was allowed to call then', async () => {
    await using folder = await openFolder()
    await using api = await serveHeld()
    const first = await folder.start()
    const { runId } = await first.start({ tasks: [{ id: 'a', url: `${api.url}/a` }] })
    await api.called(1)
    await end(first)
    await using second = await folder.start({ OUTBOUND_DENY: '127.0.0.1' })
    await recoverRuns(second.deps)
    const events = await readAll(second, runId)
    expect(allDataOf(events, 'task_error')).toMatchObject([
      { taskId: 'a', code: 'address_refused', attempt: 2 },
    ])
  })

  it('fails fast also for what was lost with the one before', async () => {
    await using folder = await openFolder()
    await using api = await serveHeld()
    const first = await folder.start()
    const { runId } = await first.start({
      failFast: true,
      concurrency: 1,
      tasks: [
        { id: 'a', url: `${api.url}/a`, method: 'POST' },
        { id: 'b', url: `${api.url}/b` },
      ],
    })
    await api.called(1)
    await end(first)
    await using second = await folder.start()
    await recoverRuns(second.deps)
    const events = await readAll(second, runId)
    expect(allDataOf(events, 'task_error').map(({ taskId, code }) => [taskId, code])).toEqual([
      ['a', 'worker_lost'],
      ['b', 'cancelled'],
    ])
    expect(api.calls).toEqual(['POST /a'])
  })

  it('runs a handler again that says it may be', async () => {
    await using folder = await openFolder()
    const first = await folder.start()
    const { runId } = await first.start({
      tasks: [
        { id: 'h', name: 'Any' },
        { id: 'once', name: 'Other', idempotent: false },
      ],
    })
    const begun = await EventCollector.open(`${first.url}/api/runs/${runId}/events`)
    await begun.waitForCount('task_start', 2)
    await end(first)
    await using second = await folder.start()
    await recoverRuns(second.deps)
    const events = await readAll(second, runId)
    expect(allDataOf(events, 'task_complete')).toMatchObject([{ taskId: 'h', attempt: 2 }])
    expect(allDataOf(events, 'task_error')).toMatchObject([{ taskId: 'once', code: 'worker_lost' }])
  })

  it('ends a run whose request it cannot read any more', async () => {
    await using folder = await openFolder()
    await using api = await serveHttp((_, response) => response.end('x'))
    const first = await folder.start()
    const { runs } = first.deps
    const { id } = await runs.start(
      { kind: 'parallel-tasks', userId: 'ann', totalTasks: 1, request: { tasks: 'none' } },
      async (run) => {
        await run.emit('task_start', { taskId: 'a', taskName: 'a', attempt: 1, source: 'worker' })
        return new Promise(() => undefined)
      },
    )
    while ((await runs.find(id)).view().lastEventId === undefined) await new Promise(setImmediate)
    await end(first)
    await using second = await folder.start()
    await recoverRuns(second.deps)
    const events = await readAll(second, id)
    expect(allDataOf(events, 'task_error')).toMatchObject([{ taskId: 'a', code: 'task_failed' }])
    expect(events.ofType('error')).toMatchObject([{ data: { code: 'invalid_request' } }])
    expect(allDataOf(events, 'complete')).toMatchObject([{ status: 'failed', errorCount: 1 }])
    const { runId: more } = await second.start({ tasks: [{ url: api.url }] })
    await (await second.deps.runs.find(more)).ended
    expect((await second.deps.runs.find(more)).status).toBe('succeeded')
  })

  it('goes on with a flow, step by step', async () => {
    await using folder = await openFolder()
    const first = await folder.start()
    const events = await EventCollector.open(`${first.url}/api/sse/flow-example?count=5&intervalMs=5`)
    await events.waitForCount('flow_item', 2)
    const runId = String(events.headers['run-id'])
    await end(first)
    await using second = await folder.start()
    await recoverRuns(second.deps)
    const all = await readAll(second, runId)
    expect(all.ofType('flow_item').map(({ data }) => Object(data).step)).toEqual([1, 2, 3, 4, 5])
    expect(all.ofType('progress').at(-1)?.data).toEqual({ step: 5, totalSteps: 5, progress: 100 })
    expect(allDataOf(all, 'complete')).toMatchObject([{ status: 'succeeded', successCount: 5 }])
  })

  it('answers a key with the run that the one before started', async () => {
    await using folder = await openFolder()
    await using api = await serveHeld()
    const first = await folder.start()
    const body = { tasks: [{ id: 'a', url: `${api.url}/a` }] }
    const headers = { accept: 'application/json', 'idempotency-key': 'k' }
    const { runId } = await first.start(body, headers)
    await api.called(1)
    await end(first)
    await using second = await folder.start()
    const again = await second.post(body, headers)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(await again.json()).toMatchObject({ runId })
  })
})

describe('a worker that drains', () => {
  it('finishes what is under way, and leaves the rest to the next', async () => {
    await using folder = await openFolder()
    await using api = await serveHeld()
    const first = await folder.start()
    const { runId } = await first.start({
      concurrency: 2,
      tasks: ['a', 'b', 'c', 'd'].map((id) => ({ id, url: `${api.url}/${id}`, method: 'POST' })),
    })
    await api.called(2)
    const drained = first.deps.runs.drain(10_000)
    await api.answer('/a')
    await api.answer('/b')
    await drained
    await end(first)
    expect(api.calls.length).toBe(2)
    await using second = await folder.start()
    await recoverRuns(second.deps)
    await api.answer('/c')
    await api.answer('/d')
    const events = await readAll(second, runId)
    expect(allDataOf(events, 'complete')).toMatchObject([{ status: 'succeeded', successCount: 4 }])
    expect(allDataOf(events, 'task_retry')).toEqual([])
    expect(api.calls).toHaveLength(4)
  })

  it('leaves the next attempt of a task to the next, too', async () => {
    await using folder = await openFolder()
    let calls = 0
    await using api = await serveHttp((_, response) => {
      calls += 1
      response.writeHead(calls === 1 ? 503 : 200, { 'retry-after': '30' }).end('x')
    })
    const first = await folder.start()
    const { runId } = await first.start({ tasks: [{ id: 'a', url: api.url }] })
    const begun = await EventCollector.open(`${first.url}/api/runs/${runId}/events`)
    await begun.waitFor('task_retry')
    await first.deps.runs.drain(10_000)
    await end(first)
    await using second = await folder.start()
    await recoverRuns(second.deps)
    const events = await readAll(second, runId)
    expect(allDataOf(events, 'task_retry').map(({ attempt, reason }) => [attempt, reason])).toEqual([
      [2, 'http_5xx'],
      [2, 'worker_lost'],
    ])
    expect(allDataOf(events, 'task_complete')).toMatchObject([{ attempt: 2 }])
    expect(calls).toBe(2)
  })

  it('cuts at the limit what goes on, and says nothing of that', async () => {
    await using folder = await openFolder()
    await using api = await serveHeld()
    const first = await folder.start()
    const { runId } = await first.start({ tasks: [{ id: 'a', url: `${api.url}/a` }] })
    await api.called(1)
    const closed = Promise.all(
      [...api.sockets].map((socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()))),
    )
    await first.deps.runs.drain(1)
    await closed
    await end(first)
    await using second = await folder.start()
    await recoverRuns(second.deps)
    await api.answer('/a')
    const events = await readAll(second, runId)
    expect(events.events.map(({ type }) => type)).not.toContain('task_error')
    expect(allDataOf(events, 'complete')).toMatchObject([{ status: 'succeeded' }])
  })
})
