import { allDataOf, dataOf, EventCollector, ScriptedUpstream, steps } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { startLossyProxy } from './lossy-proxy.ts'
import { startWorker as startWorkerProcess } from './processes.ts'
import { HYBRID, logged, postJson, runIdOf, startGateway, startWorker } from './services.ts'

async function startApi() {
  const upstream = await ScriptedUpstream.start()
  return upstream
    .script('/ok', [steps.answer(200, { 'content-type': 'application/json' }, '{"ok":true}')])
    .route('/held', () => undefined)
}

describe('a hybrid run', () => {
  it('begins its remote tasks once where the answer of the worker is lost', async () => {
    await using api = await startApi()
    await using worker = await startWorker()
    await using proxy = await startLossyProxy(worker.url, 2)
    await using gateway = await startGateway({ workers: [proxy] })
    const remoteTasks = [{ id: 'ok', method: 'POST', url: `${api.url}/ok` }]
    await using reader = await EventCollector.open(gateway.url + HYBRID, { body: { remoteTasks } })
    await reader.ended
    expect(allDataOf(reader, 'complete')).toMatchObject([{ status: 'succeeded', successCount: 1 }])
    expect([proxy.lost, api.requests.length, worker.deps.runs.size]).toEqual([2, 1, 1])
  })

  it('has one numbering of progress, one aggregated result and one end', async () => {
    await using api = await startApi()
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    await using reader = await EventCollector.open(gateway.url + HYBRID, {
      body: {
        localTasks: [{ id: 'stats', name: 'Calculate Stats', input: { count: 1_000 } }, 'Nobody here'],
        remoteTasks: [
          { id: 'ok', name: 'Fetch', url: `${api.url}/ok` },
          { id: 'missing', url: `${api.url}/404` },
          { id: 'named', name: 'Fetch External Data', input: { url: `${api.url}/ok` } },
        ],
      },
    })
    await reader.ended
    const counts = { successCount: 4, errorCount: 1 }
    const errors = [{ taskId: 'missing', error: 'HTTP 404', code: 'http_4xx' }]
    expect(allDataOf(reader, 'complete')).toMatchObject([
      { status: 'partial', totalTasks: 5, ...counts, errors },
    ])
    const [aggregated, ...others] = allDataOf(reader, 'aggregated_result')
    expect(others).toEqual([])
    expect(aggregated).toMatchObject({ ...counts, errors })
    expect(Object.keys(aggregated?.results ?? {}).toSorted()).toEqual(['local-2', 'named', 'ok', 'stats'])
    expect(aggregated?.results).toMatchObject({
      stats: { body: { count: 1_000 } },
      'local-2': { body: { simulated: true } },
      ok: { status: 200, body: { ok: true } },
    })
    const progress = allDataOf(reader, 'progress')
    for (const { totalSteps } of progress) expect(totalSteps).toBe(5)
    const told = progress.map(({ step }) => step)
    expect(told).toEqual([...new Set(told)].toSorted((a, b) => a - b))
    expect(progress.at(-1)).toEqual({ step: 5, totalSteps: 5, progress: 100 })
    const sources = Object.fromEntries(
      [...allDataOf(reader, 'task_complete'), ...allDataOf(reader, 'error')].map(({ taskId, source }) => [
        taskId,
        source,
      ]),
    )
    const far = { ok: 'worker', missing: 'worker', named: 'worker' }
    expect(sources).toEqual({ stats: 'gateway', 'local-2': 'gateway', ...far })
    for (const id of Object.keys(sources)) {
      expect(allDataOf(reader, 'task_start').filter(({ taskId }) => taskId === id)).toHaveLength(1)
    }
    // Resumed at the gateway, whose run it is.
    const all = logged(reader)
    await using rest = await EventCollector.open(`${gateway.url}/api/runs/${runIdOf(reader)}/events`, {
      headers: { 'last-event-id': String(all[4]?.id) },
    })
    await rest.ended
    expect(logged(rest).map(({ id }) => id)).toEqual(all.slice(5).map(({ id }) => id))
  })

  it('runs what is local alone without a worker', async () => {
    await using gateway = await startGateway()
    const body = { localTasks: [{ id: 'a', name: 'Calculate Stats', input: { numbers: [1, 2, 3] } }] }
    await using reader = await EventCollector.open(gateway.url + HYBRID, { body })
    await reader.ended
    expect(await dataOf(reader, 'task_complete')).toMatchObject({
      result: { body: { mean: 2 } },
      source: 'gateway',
    })
    expect(await dataOf(reader, 'complete')).toMatchObject({ status: 'succeeded', totalTasks: 1 })
  })

  it('is cancelled on both sides', async () => {
    await using api = await startApi()
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    const body = {
      localTasks: [{ id: 'here', name: 'Calculate Stats', input: { count: 5_000_000 } }],
      remoteTasks: [{ id: 'there', url: `${api.url}/held` }],
    }
    await using reader = await EventCollector.open(gateway.url + HYBRID, { body })
    const { closed } = await api.waitForRequest('/held')
    await postJson(`${gateway.url}/api/runs/${runIdOf(reader)}/cancel`, {})
    await closed
    await reader.ended
    const failed = allDataOf(reader, 'error').map(({ taskId, code }) => [taskId, code])
    expect(failed.toSorted()).toEqual([
      ['here', 'cancelled'],
      ['there', 'cancelled'],
    ])
    expect(allDataOf(reader, 'complete')).toMatchObject([{ status: 'cancelled', errorCount: 2 }])
    expect((await worker.deps.runs.list()).runs.map(({ status }) => status)).toEqual(['cancelled'])
  })

  it.each([
    ['a remote task', [{ name: 'Calculate Stats', input: { count: 5_000_000 } }], ['/404']],
    ['a local task', [{ name: 'Calculate Stats', input: { count: 1, numbers: [1, 2] } }], ['/held']],
  ])('that fails fast ends with the first failure, of %s', async (_, localTasks, paths) => {
    await using api = await startApi()
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    const remoteTasks = paths.map((path) => ({ url: api.url + path }))
    await using reader = await EventCollector.open(gateway.url + HYBRID, {
      body: { failFast: true, localTasks, remoteTasks },
    })
    const { errors } = await dataOf(reader, 'complete')
    expect(errors.map(({ code }) => code)).toEqual([expect.not.stringMatching('cancelled'), 'cancelled'])
  })

  it('expires at its deadline, on both sides', async () => {
    await using api = await startApi()
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    const body = { deadlineMs: 200, localTasks: ['Nobody'], remoteTasks: [{ url: `${api.url}/held` }] }
    await using reader = await EventCollector.open(gateway.url + HYBRID, { body })
    expect(await dataOf(reader, 'complete')).toMatchObject({ status: 'expired', errorCount: 2 })
    await (await api.waitForRequest('/held')).closed
  })

  it('goes on with what is local when its worker is lost', async () => {
    await using api = await startApi()
    const worker = await startWorkerProcess({ env: { OUTBOUND_ALLOW: '127.0.0.1' } })
    await using gateway = await startGateway({ workers: [worker], env: { UPSTREAM_GIVE_UP_MS: '100' } })
    const body = { localTasks: ['Nobody'], remoteTasks: [{ id: 'lost', url: `${api.url}/held` }] }
    await using reader = await EventCollector.open(gateway.url + HYBRID, { body })
    await api.waitForRequest('/held')
    await worker.kill()
    await reader.ended
    expect(await dataOf(reader, 'source_error')).toMatchObject({ source: 'worker', code: 'worker_lost' })
    expect(await dataOf(reader, 'error')).toMatchObject({
      taskId: 'lost',
      code: 'worker_lost',
      source: 'worker',
    })
    expect(await dataOf(reader, 'complete')).toMatchObject({
      status: 'partial',
      successCount: 1,
      errorCount: 1,
    })
  })

  it.each([
    [
      'a bad address there',
      { remoteTasks: ['x', { id: 'y', url: 'ftp://h/' }] },
      422,
      'invalid_task',
      'body/remoteTasks/1/url',
    ],
    [
      'an address here',
      { localTasks: [{ id: 'y', url: 'http://h/' }] },
      422,
      'invalid_task',
      'body/localTasks/0/url',
    ],
    [
      'an input that does not fit',
      { localTasks: [{ name: 'Calculate Stats', input: 1 }] },
      422,
      'invalid_task',
      'body/localTasks/0/input',
    ],
    [
      'an id on both sides',
      { localTasks: [{ id: 'a', name: 'x' }], remoteTasks: [{ id: 'a', name: 'x' }] },
      422,
      'duplicate_task_id',
      'body/remoteTasks/0/id',
    ],
    ['no tasks', { localTasks: [] }, 422, 'no_tasks', undefined],
    [
      'too much at a time',
      { localTasks: ['x'], concurrency: 65 },
      400,
      'invalid_request',
      'body/concurrency',
    ],
    ['an unknown field', { tasks: ['x'] }, 400, 'invalid_request', undefined],
  ])('is refused with %s', async (_, body, status, code, path) => {
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    const answer = await postJson(gateway.url + HYBRID, body)
    expect(answer.status).toBe(status)
    expect(await answer.json()).toMatchObject({ code, ...(path === undefined ? {} : { errors: [{ path }] }) })
    expect([gateway.deps.runs.size, worker.deps.runs.size]).toEqual([0, 0])
  })

  it('in production refuses a name that no handler has, also when it is called from code', async () => {
    const env = {
      NODE_ENV: 'production',
      WORKER_SECRET: 's'.repeat(32),
      AUTH_JWT_SECRET: 'j'.repeat(32),
    }
    await using gateway = await startGateway({ env })
    const hybrid = gateway.deps.relays.hybrid({ localTasks: ['Nobody'] }, { userId: 'someone', roles: [] })
    await expect(hybrid).rejects.toMatchObject({
      code: 'unknown_handler',
      message: expect.stringContaining('"Calculate Stats"'),
      errors: [{ path: 'body/localTasks/0/name' }],
    })
  })
})
