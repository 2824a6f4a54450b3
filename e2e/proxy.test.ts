import {
  allDataOf,
  dataOf,
  EventCollector,
  FakeClock,
  lastingPort,
  ScriptedUpstream,
  steps,
} from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { startWorker as startWorkerProcess } from './processes.ts'
import { logged, PARALLEL_TASKS, postJson, runIdOf, startGateway, startWorker } from './services.ts'

/** An API whose `/held` answers when it is let go, and whose other paths answer at once, `/404` with that. */
async function startApi() {
  const release = Promise.withResolvers<void>()
  const upstream = await ScriptedUpstream.start()
  const answer = steps.answer(200, { 'content-type': 'application/json' }, '{"ok":true}')
  upstream.script('/held', [steps.until(release.promise), answer]).script('/now', [answer])
  return { upstream, release: release.resolve, [Symbol.asyncDispose]: () => upstream.close() }
}

const tasksTo = (upstream: ScriptedUpstream, ...paths: string[]) => ({
  tasks: paths.map((path, index) => ({ id: `${index}${path}`, url: upstream.url + path })),
})

const streamsOf = (worker: { readonly requests: readonly string[] }) =>
  worker.requests.filter((request) => /^GET \/api\/runs\/[^/]+\/events/.test(request))

describe('parallel tasks through the gateway', () => {
  it('have the ids and the events of the worker', async () => {
    await using api = await startApi()
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    const body = tasksTo(api.upstream, '/now', '/404', '/now')
    await using first = await EventCollector.open(gateway.url + PARALLEL_TASKS, { body })
    await first.ended
    expect(await dataOf(first, 'complete')).toMatchObject({
      status: 'partial',
      successCount: 2,
      errorCount: 1,
    })
    const path = `/api/runs/${runIdOf(first)}/events?format=envelope`
    await using direct = await EventCollector.open(worker.url + path)
    await using relayed = await EventCollector.open(gateway.url + path)
    await Promise.all([direct.ended, relayed.ended])
    expect(logged(relayed)).toEqual(logged(direct))
    expect(logged(first).map(({ id }) => id)).toEqual(logged(direct).map(({ id }) => id))
    // Each route under the names that its clients listen for.
    expect(first.ofType('error')).toHaveLength(1)
    expect(relayed.ofType('task_error')).toHaveLength(1)
    expect((await dataOf(first, 'connection')).runId).toBe(runIdOf(first))
  })

  it('resume at the gateway from every event, and answer 204 past the end', async () => {
    await using api = await startApi()
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    await using first = await EventCollector.open(gateway.url + PARALLEL_TASKS, {
      body: tasksTo(api.upstream, '/now', '/now'),
    })
    await first.ended
    const all = logged(first)
    const url = `${gateway.url}/api/runs/${runIdOf(first)}/events`
    for (const [index, { id }] of all.slice(0, -1).entries()) {
      await using rest = await EventCollector.open(url, { headers: { 'last-event-id': String(id) } })
      await rest.ended
      expect(logged(rest).map((event) => event.id)).toEqual(all.slice(index + 1).map((event) => event.id))
    }
    const past = await fetch(url, { headers: { 'last-event-id': String(all.at(-1)?.id) } })
    expect(past.status).toBe(204)
    // A gateway that never saw the run finds it.
    await using other = await startGateway({ workers: [worker] })
    await using found = await EventCollector.open(`${other.url}/api/runs/${runIdOf(first)}/events`)
    await found.ended
    expect(logged(found).map(({ id }) => id)).toEqual(all.map(({ id }) => id))
  })

  it('cost the API no more calls, and the worker one stream, when 100 read them', async () => {
    await using api = await startApi()
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    const body = tasksTo(api.upstream, '/now', '/held', '/404')
    await using first = await EventCollector.open(gateway.url + PARALLEL_TASKS, { body })
    const url = `${gateway.url}/api/runs/${runIdOf(first)}/events`
    const readers = await Promise.all(Array.from({ length: 99 }, () => EventCollector.open(url)))
    await Promise.all(readers.map((reader) => reader.waitForCount('task_start', 3)))
    api.release()
    await Promise.all([first, ...readers].map((reader) => reader.ended))
    const ids = logged(first).map(({ id }) => id)
    for (const reader of readers) expect(logged(reader).map(({ id }) => id)).toEqual(ids)
    expect(api.upstream.requests).toHaveLength(3)
    expect(streamsOf(worker)).toHaveLength(1)
  })

  it('are cancelled down to the sockets of the worker', async () => {
    await using api = await startApi()
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    const body = tasksTo(api.upstream, '/held', '/held')
    await using reader = await EventCollector.open(gateway.url + PARALLEL_TASKS, { body })
    const { closed } = await api.upstream.waitForRequest('/held', 2)
    const runId = runIdOf(reader)
    const cancel = async () => (await postJson(`${gateway.url}/api/runs/${runId}/cancel`, {})).json()
    expect(await cancel()).toEqual({ runId, status: 'cancelled', cancelled: true })
    await closed
    await reader.ended
    expect(allDataOf(reader, 'error').map(({ code }) => code)).toEqual(['cancelled', 'cancelled'])
    expect(allDataOf(reader, 'complete')).toMatchObject([{ status: 'cancelled', errorCount: 2 }])
    expect(await cancel()).toEqual({ runId, status: 'cancelled', cancelled: false })
  })

  it('are refused as the worker refuses them, before the stream', async () => {
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    const answer = await postJson(gateway.url + PARALLEL_TASKS, { tasks: [{ id: 'x', url: 'ftp://h/' }] })
    expect(answer.status).toBe(422)
    expect(await answer.json()).toMatchObject({
      code: 'invalid_task',
      detail: expect.stringContaining('"x"'),
      errors: [{ path: 'body/tasks/0/url' }],
    })
  })

  it('show in the lists and views of both', async () => {
    await using api = await startApi()
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    await using reader = await EventCollector.open(gateway.url + PARALLEL_TASKS, {
      body: tasksTo(api.upstream, '/now'),
    })
    await reader.ended
    const ask = async (path: string) => (await fetch(gateway.url + path)).json()
    const view = { runId: runIdOf(reader), status: 'succeeded', totalTasks: 1, successCount: 1 }
    expect(await ask(`/api/runs/${runIdOf(reader)}`)).toMatchObject(view)
    expect(await ask('/api/runs')).toMatchObject({ runs: [view] })
    expect(await ask('/api/runs/none')).toMatchObject({ code: 'run_not_found' })
  })
})

describe('sample-parallel through the gateway', () => {
  it('goes on with a cursor, and starts nothing', async () => {
    await using worker = await startWorker({ random: () => 0 })
    await using gateway = await startGateway({ workers: [worker] })
    const url = `${gateway.url}/api/sse-proxy/reactive/sample-parallel/sse-emitter`
    await using first = await EventCollector.open(url)
    await first.ended
    const all = logged(first)
    expect(all.at(-1)).toMatchObject({ type: 'complete', data: { status: 'succeeded', totalTasks: 5 } })
    await using rest = await EventCollector.open(url, { headers: { 'last-event-id': String(all[3]?.id) } })
    await rest.ended
    expect(logged(rest)).toEqual(all.slice(4))
    for (const cursor of [String(all.at(-1)?.id), 'unknown.1700000000000-1', '1700000000000-1']) {
      expect((await fetch(url, { headers: { 'last-event-id': cursor } })).status).toBe(204)
    }
    expect(worker.deps.runs.size).toBe(1)
  })
})

describe('several workers', () => {
  it('are used least busy first; one that is down is skipped, and tried again', async () => {
    // What it shows its workers counts for a minute of theirs.
    const clock = new FakeClock(Date.now())
    await using api = await startApi()
    const port = await lastingPort()
    await using first = await startWorker({ port })
    await using second = await startWorker()
    await using gateway = await startGateway({ clock, workers: [first, second] })
    const start = () =>
      EventCollector.open(gateway.url + PARALLEL_TASKS, { body: tasksTo(api.upstream, '/held') })
    const sizes = () => [first, second].map(({ deps }) => deps.runs.size)
    await using _one = await start()
    expect(sizes()).toEqual([1, 0])
    await using _two = await start()
    expect(sizes()).toEqual([1, 1])
    await first.close()
    await using three = await start()
    expect(await dataOf(three, 'task_start')).toMatchObject({ source: 'worker' })
    expect(second.deps.runs.size).toBe(2)
    await using back = await startWorker({ port })
    clock.advance(2_000)
    await using _four = await start()
    expect([back.deps.runs.size, second.deps.runs.size]).toEqual([1, 2])
  })

  it('share runs that start at the same time', async () => {
    await using api = await startApi()
    await using first = await startWorker()
    await using second = await startWorker()
    await using gateway = await startGateway({ workers: [first, second] })
    const body = tasksTo(api.upstream, '/held')
    const readers = await Promise.all(
      Array.from({ length: 10 }, () => EventCollector.open(gateway.url + PARALLEL_TASKS, { body })),
    )
    expect([first, second].map(({ deps }) => deps.runs.size)).toEqual([5, 5])
    api.release()
    await Promise.all(readers.map((reader) => reader.ended))
  })

  it('of which none is there are a 503 before the stream', async () => {
    await using gateway = await startGateway()
    const requests: [string, unknown][] = [
      [PARALLEL_TASKS, { tasks: ['Any'] }],
      ['/api/sse-proxy/relay/sse-emitter', { endpoint: '/api/sse/sample-parallel' }],
      ['/api/sse-proxy/merge-streams/sse-emitter', ['/api/sse/sample-parallel', '/api/sse/flow-example']],
      ['/api/sse-integration/hybrid-execution/sse-emitter', { remoteTasks: ['Any'] }],
    ]
    for (const [path, body] of requests) {
      const answer = await postJson(gateway.url + path, body)
      expect([path, answer.status, answer.headers.get('retry-after')]).toEqual([path, 503, '1'])
      expect(await answer.json()).toMatchObject({ code: 'upstream_unavailable', retryable: true })
    }
  })

  it('more runs than a pool of connections are read from one of them at a time', async () => {
    await using api = await startApi()
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    const body = tasksTo(api.upstream, '/held')
    const readers = await Promise.all(
      Array.from({ length: 300 }, () => EventCollector.open(gateway.url + PARALLEL_TASKS, { body })),
    )
    await Promise.all(readers.map((reader) => reader.waitFor('connection')))
    expect(streamsOf(worker)).toHaveLength(300)
    api.release()
    await Promise.all(readers.map((reader) => reader.waitFor('complete')))
    await Promise.all(readers.map((reader) => reader.ended))
  })
})

describe('a worker that dies in the midst of a run', () => {
  it('is waited for, and then given up', async () => {
    await using api = await startApi()
    const worker = await startWorkerProcess({ env: { OUTBOUND_ALLOW: '127.0.0.1' } })
    await using gateway = await startGateway({ workers: [worker], env: { UPSTREAM_GIVE_UP_MS: '400' } })
    const body = tasksTo(api.upstream, '/held')
    await using reader = await EventCollector.open(gateway.url + PARALLEL_TASKS, { body })
    const started = await reader.waitFor('task_start')
    await worker.kill()
    const away = await reader.waitFor('source_unavailable')
    expect(away).toMatchObject({ data: { source: 'worker', retryable: true, since: expect.any(Number) } })
    expect(away.id).toBeUndefined()
    // Who comes while it is away is told too.
    await using late = await EventCollector.open(`${gateway.url}/api/runs/${runIdOf(reader)}/events`)
    await Promise.all([reader.ended, late.ended])
    for (const each of [reader, late]) {
      expect(each.ofType('source_unavailable')).toHaveLength(1)
      expect(await dataOf(each, 'disconnected')).toEqual({ reason: 'upstream_lost', reconnect: true })
      expect(each.ofType('complete')).toEqual([])
      expect(each.lastEventId).toBe(started.id)
    }
    const again = await fetch(`${gateway.url}/api/runs/${runIdOf(reader)}/events`)
    expect(again.status).toBe(503)
    expect(gateway.deps.mirrors.size).toBe(0)
  })

  it('and comes back without the run ends its streams, and the run is not found', async () => {
    await using api = await startApi()
    const port = await lastingPort()
    const first = await startWorkerProcess({ port, env: { OUTBOUND_ALLOW: '127.0.0.1' } })
    await using gateway = await startGateway({ workers: [first], env: { UPSTREAM_GIVE_UP_MS: '60000' } })
    await using reader = await EventCollector.open(gateway.url + PARALLEL_TASKS, {
      body: tasksTo(api.upstream, '/held'),
    })
    await reader.waitFor('task_start')
    await first.kill()
    await reader.waitFor('source_unavailable')
    await using _back = await startWorker({ port })
    await reader.ended
    expect(await dataOf(reader, 'disconnected')).toMatchObject({ reason: 'upstream_lost' })
    const again = await fetch(`${gateway.url}/api/runs/${runIdOf(reader)}/events`)
    expect(await again.json()).toMatchObject({ status: 404, code: 'run_not_found' })
  })
})
