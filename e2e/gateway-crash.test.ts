import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { allDataOf, dataOf, EventCollector, lastingPort, ScriptedUpstream, steps } from '@tributary/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { NumberedStream } from './numbered-stream.ts'
import { type ServiceProcess, startGateway, startWorker as startWorkerProcess } from './processes.ts'
import { HYBRID, MERGE, PARALLEL_TASKS, postJson, RELAY, runIdOf, startWorker } from './services.ts'
import { ofSource, readOn, upTo, wholeOf } from './whole-run.ts'

/** Where the gateway finds the handler `Ask`. */
const HANDLERS_DIR = fileURLToPath(new URL('../apps/gateway/test/handlers', import.meta.url))

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tributary-crash-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** A gateway that keeps its runs in the folder of the test, and comes back on the same port. */
async function startKeeper(upstream: ScriptedUpstream, workers?: readonly { readonly url: string }[]) {
  const port = await lastingPort()
  const start = () =>
    startGateway({
      cwd: folder,
      port,
      ...(workers === undefined ? {} : { workers }),
      env: {
        STORE: 'sqlite',
        OUTBOUND_ALLOW: '127.0.0.1',
        RELAY_ALLOWED_ORIGINS: upstream.url,
        HANDLERS_DIR,
      },
    })
  let gateway: ServiceProcess = await start()
  return {
    url: gateway.url,
    async crash() {
      await gateway.kill()
      gateway = await start()
    },
    [Symbol.asyncDispose]: () => gateway.kill(),
  }
}

describe('a gateway that is killed', () => {
  it('goes on with a merge of two runs of a worker and a foreign stream, where each was', async () => {
    await using upstream = await ScriptedUpstream.start()
    await using worker = await startWorker()
    const ticks = new NumberedStream(upstream, '/ticks', { total: 60 })
    await using gateway = await startKeeper(upstream, [worker])
    const flow = (count: number) => `/api/sse/flow-example?count=${count}&intervalMs=100`
    const endpoint = `${upstream.url}/ticks`
    await using first = await EventCollector.open(gateway.url + MERGE, {
      body: [flow(60), flow(50), { name: 'ticks', endpoint }],
    })
    ticks.release(20)
    await Promise.all([first.waitForCount('flow_item', 6), first.waitForCount('tick', 20)])
    await gateway.crash()
    ticks.release(40)
    await using second = await readOn(gateway.url, first)
    await Promise.all([second.waitForCount('flow_item', 6), second.waitForCount('tick', 20)])
    await gateway.crash()
    ticks.release()
    await using third = await readOn(gateway.url, second)
    await third.waitFor('complete', 30_000)
    await third.ended
    const events = wholeOf(first, second, third)
    expect(ofSource(events, 'tick', 'ticks').map(({ n }) => n)).toEqual(upTo(60))
    for (const count of [60, 50]) {
      expect(ofSource(events, 'flow_item', flow(count)).map(({ step }) => step)).toEqual(upTo(count))
    }
    expect(await dataOf(third, 'complete')).toMatchObject({
      status: 'succeeded',
      totalTasks: 3,
      successCount: 3,
    })
    // Resumed, not begun again.
    expect(worker.deps.runs.size).toBe(2)
    expect(upstream.requests.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '20', '40'])
  })

  it('goes on with the relay of a foreign stream that sends ids', async () => {
    await using upstream = await ScriptedUpstream.start()
    const ticks = new NumberedStream(upstream, '/ticks', { total: 500 })
    await using gateway = await startKeeper(upstream)
    const endpoint = `${upstream.url}/ticks`
    await using first = await EventCollector.open(gateway.url + RELAY, { body: { endpoint } })
    // More than it is told before it is killed: what was stored and not read yet comes once, too.
    ticks.release(400)
    await first.waitFor('tick')
    await gateway.crash()
    ticks.release()
    await using second = await readOn(gateway.url, first)
    await second.ended
    const events = wholeOf(first, second)
    expect(ofSource(events, 'tick', endpoint).map(({ n }) => n)).toEqual(upTo(500))
    expect(upstream.requests).toHaveLength(2)
  })

  it.each([
    ['a GET that sends no ids', 'GET', 'which sends no event ids to resume it by'],
    ['a POST', 'POST', 'and a POST is not sent twice'],
  ])('ends the relay of %s, and never asks for it twice', async (_, method, why) => {
    await using upstream = await ScriptedUpstream.start()
    new NumberedStream(upstream, '/ticks', { total: 3, ids: false }).release(2)
    await using gateway = await startKeeper(upstream)
    const endpoint = `${upstream.url}/ticks`
    await using first = await EventCollector.open(gateway.url + RELAY, { body: { endpoint, method } })
    await first.waitForCount('tick', 2)
    await gateway.crash()
    await using second = await readOn(gateway.url, first)
    await second.ended
    wholeOf(first, second)
    expect(allDataOf(second, 'source_error')).toEqual([
      {
        source: endpoint,
        code: 'worker_lost',
        category: 'server',
        recovery: 'none',
        error: expect.stringContaining(why),
      },
    ])
    expect(await dataOf(second, 'complete')).toMatchObject({ status: 'failed', errorCount: 1 })
    expect(upstream.requests).toHaveLength(1)
  })

  it('does not read again what had ended, and tells what came of it', async () => {
    await using upstream = await ScriptedUpstream.start()
    const ticks = new NumberedStream(upstream, '/ticks', { total: 2 })
    upstream.script('/short', [steps.frame({ event: 'tick', data: { n: 1 } }), steps.end()])
    upstream.script('/broken', [steps.answer(500)])
    await using gateway = await startKeeper(upstream)
    const sources = ['ticks', 'short', 'broken'].map((name) => ({
      name,
      endpoint: `${upstream.url}/${name}`,
    }))
    await using first = await EventCollector.open(gateway.url + MERGE, { body: sources })
    ticks.release(1)
    await first.waitForCount('tick', 2)
    await first.waitFor('source_complete')
    await first.waitFor('source_error')
    await gateway.crash()
    ticks.release()
    await using second = await readOn(gateway.url, first)
    await second.ended
    wholeOf(first, second)
    expect(allDataOf(second, 'complete')).toMatchObject([
      {
        status: 'partial',
        totalTasks: 3,
        successCount: 2,
        errorCount: 1,
        errors: [{ taskId: 'broken', code: 'http_5xx' }],
      },
    ])
    expect(upstream.requestsTo('/short')).toHaveLength(1)
    expect(upstream.requestsTo('/broken')).toHaveLength(1)
  })

  it('goes on with a hybrid run: what had begun here by its rule, what is remote where it was', async () => {
    const late = Promise.withResolvers<void>()
    await using upstream = await ScriptedUpstream.start()
    const answer = steps.answer(200, { 'content-type': 'application/json' }, '{}')
    upstream
      .script('/now', [answer])
      .script('/again', [], [answer])
      .script('/once', [], [answer])
      .script('/far', [steps.until(late.promise), answer])
    await using worker = await startWorker()
    await using gateway = await startKeeper(upstream, [worker])
    const ask = (id: string, idempotent: boolean) => ({
      id,
      name: 'Ask',
      input: { url: `${upstream.url}/${id}` },
      idempotent,
    })
    await using first = await EventCollector.open(gateway.url + HYBRID, {
      body: {
        localTasks: [ask('now', false), ask('again', true), ask('once', false)],
        remoteTasks: [
          { id: 'near', url: `${upstream.url}/now` },
          { id: 'far', url: `${upstream.url}/far` },
        ],
      },
    })
    await Promise.all(['/again', '/once', '/far'].map((path) => upstream.waitForRequest(path)))
    await first.waitForCount('task_complete', 2)
    await gateway.crash()
    late.resolve()
    await using second = await readOn(gateway.url, first)
    await second.ended
    const events = wholeOf(first, second)
    const finals = events.filter(({ type }) => type === 'task_complete' || type === 'task_error')
    expect(finals.map(({ data }) => Object(data).taskId).toSorted()).toEqual([
      'again',
      'far',
      'near',
      'now',
      'once',
    ])
    expect(allDataOf(second, 'task_error')).toMatchObject([{ taskId: 'once', code: 'worker_lost' }])
    expect(allDataOf(second, 'task_retry')).toMatchObject([
      { taskId: 'again', attempt: 2, reason: 'worker_lost' },
    ])
    const again = allDataOf(second, 'task_complete').find(({ taskId }) => taskId === 'again')
    expect(again).toMatchObject({ attempt: 2, result: { body: { status: 200 } } })
    expect(events.filter(({ type }) => type === 'aggregated_result')).toHaveLength(1)
    expect(await dataOf(second, 'complete')).toMatchObject({
      status: 'partial',
      successCount: 4,
      errorCount: 1,
    })
    expect(upstream.requestsTo('/once')).toHaveLength(1)
    expect(upstream.requestsTo('/far')).toHaveLength(1)
    expect(worker.deps.runs.size).toBe(1)
  })

  it('waits for a worker that is away when it comes back', async () => {
    const late = Promise.withResolvers<void>()
    await using upstream = await ScriptedUpstream.start()
    const answer = steps.answer(200, { 'content-type': 'application/json' }, '{}')
    upstream.script('/far', [], [steps.until(late.promise), answer])
    const workerFolder = join(folder, 'worker')
    await mkdir(workerFolder)
    const workerPort = await lastingPort()
    const workerOptions = { cwd: workerFolder, port: workerPort, env: { OUTBOUND_ALLOW: '127.0.0.1' } }
    const worker = await startWorkerProcess(workerOptions)
    await using gateway = await startKeeper(upstream, [worker])
    const far = { id: 'far', url: `${upstream.url}/far` }
    await using hybrid = await EventCollector.open(gateway.url + HYBRID, { body: { remoteTasks: [far] } })
    await using relayed = await EventCollector.open(gateway.url + PARALLEL_TASKS, { body: { tasks: [far] } })
    await upstream.waitForRequest('/far', 2)
    await Promise.all([hybrid, relayed].map((reader) => reader.waitFor('task_start')))
    await worker.kill()
    await gateway.crash()
    await using back = await readOn(gateway.url, hybrid)
    expect(await dataOf(back, 'source_unavailable')).toMatchObject({ source: 'worker', retryable: true })
    // Of a worker's run nothing is known here any more: who comes back is told to come again.
    await using busy = await readOn(gateway.url, relayed)
    await busy.ended
    expect(allDataOf(busy, 'disconnected')).toMatchObject([{ reason: 'busy', reconnect: true }])
    await using _worker = await startWorkerProcess(workerOptions)
    late.resolve()
    await using rest = await readOn(gateway.url, relayed)
    await Promise.all([back.ended, rest.ended])
    wholeOf(hybrid, back)
    wholeOf(relayed, rest)
    for (const reader of [back, rest]) {
      expect(allDataOf(reader, 'task_retry')).toMatchObject([
        { taskId: 'far', attempt: 2, reason: 'worker_lost' },
      ])
      expect(await dataOf(reader, 'complete')).toMatchObject({ status: 'succeeded' })
    }
  })

  it('asks the same worker again with the same key, where it does not know what became of its start', async () => {
    await using upstream = await ScriptedUpstream.start()
    await using other = await ScriptedUpstream.start()
    const workers = [upstream, other]
    const accepted = { runId: 'run_there', status: 'accepted', events: '/api/runs/run_there/events' }
    const json = { 'content-type': 'application/json', 'run-id': 'run_there' }
    for (const worker of workers) {
      worker.script(
        '/api/sse/emitter/parallel-tasks',
        [],
        [steps.answer(202, json, JSON.stringify(accepted))],
      )
    }
    await using gateway = await startKeeper(upstream, workers)
    const started = postJson(gateway.url + HYBRID, { remoteTasks: ['Any'] }).catch(() => undefined)
    const asked = await Promise.race(
      workers.map(async (worker) => ({
        worker,
        request: await worker.waitForRequest('/api/sse/emitter/parallel-tasks'),
      })),
    )
    await gateway.crash()
    await started
    const again = await asked.worker.waitForRequest('/api/sse/emitter/parallel-tasks', 2)
    expect(again.headers['idempotency-key']).toEqual(expect.any(String))
    expect(again.headers['idempotency-key']).toBe(asked.request.headers['idempotency-key'])
    expect(again.body).toBe(asked.request.body)
    await asked.worker.waitForRequest('/api/runs/run_there/events')
    const starts = workers.flatMap((worker) => worker.requestsTo('/api/sse/emitter/parallel-tasks'))
    expect(starts).toHaveLength(2)
  })

  it('answers the same run to the same key, and refuses another request with it', async () => {
    await using upstream = await ScriptedUpstream.start()
    new NumberedStream(upstream, '/ticks', { total: 2 }).release(1)
    await using gateway = await startKeeper(upstream)
    const body = { endpoint: `${upstream.url}/ticks` }
    const headers = { 'idempotency-key': 'one', accept: 'application/json' }
    const started = await postJson(gateway.url + RELAY, body, headers)
    expect([started.status, started.headers.get('idempotent-replayed')]).toEqual([202, null])
    const { runId } = Object(await started.json())
    await gateway.crash()
    const again = await postJson(gateway.url + RELAY, body, headers)
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([202, 'true'])
    expect(await again.json()).toMatchObject({ runId, status: 'running' })
    const other = await postJson(gateway.url + RELAY, { ...body, method: 'POST' }, headers)
    expect(other.status).toBe(422)
    expect(await other.json()).toMatchObject({ code: 'idempotency_conflict' })
    const stranger = await postJson(gateway.url + RELAY, body, {
      ...headers,
      authorization: 'Bearer alice-token',
    })
    expect(Object(await stranger.json()).runId).not.toBe(runId)
  })

  it('cancels a run that it goes on with, down to what it had begun', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.route('/held', () => undefined)
    await using worker = await startWorker()
    await using gateway = await startKeeper(upstream, [worker])
    const body = { remoteTasks: [{ id: 'far', url: `${upstream.url}/held` }] }
    await using first = await EventCollector.open(gateway.url + HYBRID, { body })
    const { closed } = await upstream.waitForRequest('/held')
    await first.waitFor('task_start')
    await gateway.crash()
    const path = `${gateway.url}/api/runs/${runIdOf(first)}`
    const cancelled = await postJson(`${path}/cancel`, {})
    expect(await cancelled.json()).toMatchObject({ status: 'cancelled', cancelled: true })
    await closed
    await using second = await readOn(gateway.url, first)
    await second.ended
    wholeOf(first, second)
    expect(allDataOf(second, 'task_error')).toMatchObject([{ taskId: 'far', code: 'cancelled' }])
  })
})

describe('a gateway that is drained', () => {
  it('goes on with its runs after the restart', async () => {
    await using upstream = await ScriptedUpstream.start()
    const ticks = new NumberedStream(upstream, '/ticks', { total: 30 })
    const port = await lastingPort()
    const env = { STORE: 'sqlite', RELAY_ALLOWED_ORIGINS: upstream.url }
    const gateway = await startGateway({ cwd: folder, port, env })
    const body = { endpoint: `${upstream.url}/ticks` }
    await using first = await EventCollector.open(gateway.url + RELAY, { body })
    ticks.release(10)
    await first.waitForCount('tick', 10)
    await gateway.stop()
    await first.ended
    expect(allDataOf(first, 'disconnected')).toEqual([{ reason: 'drain', reconnect: true }])
    ticks.release()
    await using back = await startGateway({ cwd: folder, port, env })
    await using second = await readOn(back.url, first)
    await second.ended
    const events = wholeOf(first, second)
    expect(ofSource(events, 'tick', body.endpoint).map(({ n }) => n)).toEqual(upTo(30))
  })

  it('finishes what is under way, and begins the rest after the restart', async () => {
    const late = Promise.withResolvers<void>()
    await using upstream = await ScriptedUpstream.start()
    const answer = steps.answer(200, { 'content-type': 'application/json' }, '{}')
    upstream.script('/first', [steps.until(late.promise), answer]).script('/second', [answer])
    upstream.script('/far', [steps.until(late.promise), answer])
    await using worker = await startWorker()
    const port = await lastingPort()
    const start = () =>
      startGateway({
        cwd: folder,
        port,
        workers: [worker],
        env: { STORE: 'sqlite', OUTBOUND_ALLOW: '127.0.0.1', HANDLERS_DIR },
      })
    const gateway = await start()
    const ask = (id: string) => ({ id, name: 'Ask', input: { url: `${upstream.url}/${id}` } })
    await using first = await EventCollector.open(gateway.url + HYBRID, {
      body: {
        concurrency: 1,
        localTasks: [ask('first'), ask('second')],
        remoteTasks: [{ id: 'far', url: `${upstream.url}/far` }],
      },
    })
    await Promise.all(['/first', '/far'].map((path) => upstream.waitForRequest(path)))
    await first.waitForCount('task_start', 2)
    const stopped = gateway.stop()
    for (let status = 200; status !== 503; ) status = (await fetch(`${gateway.url}/readyz`)).status
    late.resolve()
    await stopped
    await first.ended
    expect(upstream.requestsTo('/second')).toEqual([])
    await using back = await start()
    await using second = await readOn(back.url, first)
    await second.ended
    const events = wholeOf(first, second)
    expect(events.filter(({ type }) => type === 'task_retry')).toEqual([])
    expect(await dataOf(second, 'complete')).toMatchObject({ status: 'succeeded', successCount: 3 })
    for (const path of ['/first', '/second', '/far']) expect(upstream.requestsTo(path)).toHaveLength(1)
  })
})
