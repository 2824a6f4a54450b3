import { allDataOf, EventCollector, ScriptedUpstream, steps } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import {
  HYBRID,
  logged,
  MERGE,
  PARALLEL_TASKS,
  postJson,
  RELAY,
  runIdOf,
  startGateway,
  startWorker,
} from './services.ts'

const SAMPLE_PARALLEL = '/api/sse-proxy/reactive/sample-parallel/sse-emitter'
const JSON_PLEASE = { accept: 'application/json' }

const get = async (url: string, headers: Readonly<Record<string, string>> = JSON_PLEASE) => {
  const answer = await fetch(url, { headers })
  const { status } = answer
  return { status, headers: answer.headers, body: Object(status === 204 ? {} : await answer.json()) }
}

const start = async (url: string, body: unknown, headers: Readonly<Record<string, string>> = {}) => {
  const answer = await postJson(url, body, { ...JSON_PLEASE, ...headers })
  const replayed = answer.headers.get('idempotent-replayed')
  return { status: answer.status, replayed, headers: answer.headers, body: Object(await answer.json()) }
}

/** An API whose `/held` never answers, and whose `/now` does at once. */
async function startApi() {
  const upstream = await ScriptedUpstream.start()
  const answer = steps.answer(200, { 'content-type': 'application/json' }, '{"ok":true}')
  return upstream.script('/now', [answer]).route('/held', () => undefined)
}

const LOCAL = { localTasks: [{ id: 'a', name: 'Calculate Stats', input: { numbers: [1, 2, 3] } }] }

describe('a start that asks for JSON', () => {
  it('is answered 202 with where to read the run, whoever owns it', async () => {
    await using api = await startApi()
    api.script('/foreign', [steps.frame({ data: 1 }), steps.end()])
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker], upstreams: [api] })
    const starts: [string, unknown][] = [
      [PARALLEL_TASKS, { tasks: [{ url: `${api.url}/now` }] }],
      [RELAY, { endpoint: `${api.url}/foreign` }],
      [RELAY, { endpoint: '/api/sse/flow-example?count=1' }],
      [MERGE, [`${api.url}/foreign`]],
      [HYBRID, LOCAL],
    ]
    for (const [path, body] of starts) {
      const { status, headers, body: accepted } = await start(gateway.url + path, body)
      const { runId } = accepted
      const location = `/api/runs/${runId}`
      const named = [headers.get('run-id'), headers.get('location')]
      expect([path, status, ...named]).toEqual([path, 202, runId, location])
      expect(accepted).toEqual({ runId, status: expect.any(String), events: `${location}/events` })
      await using reader = await EventCollector.open(gateway.url + accepted.events)
      await reader.ended
      expect(reader.headers).toMatchObject({ 'run-id': runId, location })
      expect(reader.ofType('complete')).toHaveLength(1)
    }
  })
})

describe('an Idempotency-Key', () => {
  it('answers the same run on every route that starts one, to the same user alone', async () => {
    await using api = await startApi()
    api.script('/foreign', [steps.frame({ data: 1 }), steps.end()])
    await using first = await startWorker()
    await using second = await startWorker()
    await using gateway = await startGateway({ workers: [first, second], upstreams: [api] })
    const starts: [string, unknown, unknown][] = [
      [PARALLEL_TASKS, { tasks: [{ url: `${api.url}/now` }] }, { tasks: [{ url: `${api.url}/404` }] }],
      [RELAY, { endpoint: `${api.url}/foreign` }, { endpoint: `${api.url}/now` }],
      [MERGE, [`${api.url}/foreign`], [`${api.url}/now`]],
      [HYBRID, LOCAL, { localTasks: ['Other'] }],
    ]
    for (const [index, [path, body, other]] of starts.entries()) {
      const headers = { 'idempotency-key': `key-${index}` }
      const once = await start(gateway.url + path, body, headers)
      expect([path, once.status, once.replayed]).toEqual([path, 202, null])
      // All at once, and as a stream too.
      const again = await Promise.all([1, 2, 3].map(() => start(gateway.url + path, body, headers)))
      for (const each of again) {
        expect([each.status, each.replayed, each.body.runId]).toEqual([202, 'true', once.body.runId])
      }
      await using reader = await EventCollector.open(gateway.url + path, { body, headers })
      await reader.ended
      expect([runIdOf(reader), reader.headers['idempotent-replayed']]).toEqual([once.body.runId, 'true'])
      expect(await start(gateway.url + path, other, headers)).toMatchObject({
        status: 422,
        body: { code: 'idempotency_conflict' },
      })
      const alice = { ...headers, authorization: 'Bearer alice-token' }
      expect((await start(gateway.url + path, body, alice)).body.runId).not.toBe(once.body.runId)
    }
  })

  it('answers the same run on the GET that starts one, too', async () => {
    await using worker = await startWorker({ random: () => 0 })
    await using gateway = await startGateway({ workers: [worker] })
    const url = gateway.url + SAMPLE_PARALLEL
    const key = { 'idempotency-key': 'key' }
    const { headers, body } = await get(url, { ...JSON_PLEASE, ...key })
    expect(headers.has('idempotent-replayed')).toBe(false)
    await using reader = await EventCollector.open(url, { headers: key })
    await reader.ended
    expect([runIdOf(reader), reader.headers['idempotent-replayed']]).toEqual([body.runId, 'true'])
    const alice = { ...JSON_PLEASE, ...key, authorization: 'Bearer alice-token' }
    const others = [
      await get(url, alice),
      await get(url),
      await get(url, { ...JSON_PLEASE, 'idempotency-key': 'b' }),
    ]
    expect(new Set([body, ...others.map((other) => other.body)].map(({ runId }) => runId)).size).toBe(4)
    const refused = await get(url, { ...JSON_PLEASE, 'idempotency-key': 'k'.repeat(257) })
    expect(refused).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
    expect(worker.deps.runs.size).toBe(4)
  })

  it('leads to one worker, and no other is asked while that is away', async () => {
    await using api = await startApi()
    await using first = await startWorker()
    await using second = await startWorker()
    const workers = [first, second]
    await using gateway = await startGateway({ workers })
    const body = { tasks: [{ url: `${api.url}/now` }] }
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) {
      await start(gateway.url + PARALLEL_TASKS, body, { 'idempotency-key': key })
    }
    const sizes = workers.map(({ deps }) => deps.runs.size)
    expect(sizes.reduce((sum, size) => sum + size)).toBe(8)
    await second.close()
    const statuses = await Promise.all(
      ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(async (key) => {
        const answer = await start(gateway.url + PARALLEL_TASKS, body, { 'idempotency-key': key })
        return answer.status === 202 ? answer.replayed : answer.body.code
      }),
    )
    const expected = [...Array(sizes[0]).fill('true'), ...Array(sizes[1]).fill('upstream_unavailable')]
    expect(statuses.toSorted()).toEqual(expected)
    expect(first.deps.runs.size).toBe(sizes[0])
  })
})

describe('a page of a run', () => {
  it.each([
    ['of this gateway', HYBRID, LOCAL],
    ['of a worker', PARALLEL_TASKS, { tasks: ['Nobody'] }],
  ])('%s has the same events and cursors as its stream', async (_, path, body) => {
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    await using reader = await EventCollector.open(gateway.url + path, { body })
    await reader.ended
    const url = `${gateway.url}/api/runs/${runIdOf(reader)}/events`
    const ids: string[] = []
    for (let cursor = '', ended = false; !ended; ) {
      const page = await get(`${url}?limit=2${cursor === '' ? '' : `&after=${encodeURIComponent(cursor)}`}`)
      expect(page.status).toBe(200)
      expect(page.headers.get('run-id')).toBe(runIdOf(reader))
      ids.push(...page.body.events.map(({ id }: { id: string }) => id))
      cursor = page.body.cursor
      ended = page.body.ended
    }
    expect(ids).toEqual(logged(reader).map(({ id }) => id))
    const past = await fetch(url, { headers: { 'last-event-id': String(ids.at(-1)) } })
    expect(past.status).toBe(204)
  })

  it.each([
    ['of this gateway', RELAY],
    ['of a worker', PARALLEL_TASKS],
  ])('%s waits for its first event', async (_, path) => {
    const go = Promise.withResolvers<void>()
    const answer = steps.answer(200, { 'content-type': 'application/json' }, '1')
    await using api = await ScriptedUpstream.start()
    api
      .script('/foreign', [steps.open(), steps.until(go.promise), steps.frame({ data: 1 }), steps.end()])
      .script('/late', [steps.until(go.promise), answer])
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker], upstreams: [api] })
    const body = path === RELAY ? { endpoint: `${api.url}/foreign` } : { tasks: [{ url: `${api.url}/late` }] }
    const started = await start(gateway.url + path, body)
    await api.waitForRequest(path === RELAY ? '/foreign' : '/late')
    const url = gateway.url + started.body.events
    const before = await get(url)
    const waiting = get(`${url}?after=${encodeURIComponent(before.body.cursor)}&wait=20000`)
    go.resolve()
    const { body: page } = await waiting
    expect(page.events.length).toBeGreaterThan(0)
  })
})

describe('the list of runs', () => {
  it('is one over the gateway and all workers, page by page, newest first', async () => {
    await using api = await startApi()
    await using first = await startWorker()
    await using second = await startWorker()
    await using gateway = await startGateway({ workers: [first, second] })
    const started: string[] = []
    for (let index = 0; index < 9; index++) {
      const path = index % 3 === 0 ? HYBRID : PARALLEL_TASKS
      const body = index % 3 === 0 ? LOCAL : { tasks: [{ url: `${api.url}/${index < 6 ? 'now' : 'held'}` }] }
      await using reader = await EventCollector.open(gateway.url + path, { body })
      started.push(runIdOf(reader))
      if (index < 6 || path === HYBRID) await reader.ended
    }
    for (const limit of [1, 2, 3, 4, 9, 100]) {
      const listed: { runId: string; startedAt: number }[] = []
      for (let after: string | undefined = ''; after !== undefined; ) {
        const { body } = await get(`${gateway.url}/api/runs?limit=${limit}${after && `&after=${after}`}`)
        expect(body.runs.length).toBeLessThanOrEqual(limit)
        listed.push(...body.runs)
        after = body.next
      }
      expect(listed.map(({ runId }) => runId).toSorted()).toEqual(started.toSorted())
      const times = listed.map(({ startedAt }) => startedAt)
      expect(times).toEqual(times.toSorted((a, b) => b - a))
    }
    const running = await get(`${gateway.url}/api/runs?status=running`)
    expect(running.body.runs.map(({ runId }: { runId: string }) => runId).toSorted()).toEqual(
      [started[7], started[8]].toSorted(),
    )
    expect((await get(`${gateway.url}/api/runs?after=nothing`)).body).toMatchObject({
      code: 'invalid_cursor',
    })
  })
})

describe('a run that is kept no longer', () => {
  it.each([
    ['of this gateway', HYBRID, LOCAL],
    ['of a worker', PARALLEL_TASKS, { tasks: ['Nobody'] }],
  ])('%s is gone', async (_, path, body) => {
    const env = { RUN_MAX_COUNT: '1' }
    await using worker = await startWorker({ env })
    await using gateway = await startGateway({ workers: [worker], env })
    const gone: string[] = []
    for (let index = 0; index < 3; index++) {
      await using reader = await EventCollector.open(gateway.url + path, { body })
      await reader.ended
      gone.push(runIdOf(reader))
    }
    // One that has read nothing of it yet, and so asks.
    await using other = await startGateway({ workers: [worker] })
    const url = `${path === HYBRID ? gateway.url : other.url}/api/runs/${gone[0]}`
    for (const asked of [url, `${url}/events`]) {
      expect(await get(asked)).toMatchObject({ status: 410, body: { code: 'run_gone' } })
    }
    expect((await fetch(`${url}/events`, { headers: { 'last-event-id': `${gone[0]}.1-1` } })).status).toBe(
      410,
    )
    expect((await postJson(`${url}/cancel`, {})).status).toBe(410)
  })
})

describe('a gateway that drains', () => {
  it('tells who comes back to a run to come again, and refuses who is new', async () => {
    await using api = await startApi()
    const more = Promise.withResolvers<void>()
    api.script('/foreign', [
      steps.frame({ data: 1 }),
      steps.until(more.promise),
      steps.frame({ data: 2 }),
      steps.end(),
    ])
    await using worker = await startWorker()
    await using gateway = await startGateway({
      workers: [worker],
      upstreams: [api],
      env: { DRAIN_MS: '20000' },
    })
    await using reader = await EventCollector.open(gateway.url + RELAY, {
      body: { endpoint: `${api.url}/foreign` },
    })
    const { id } = await reader.waitFor('message')
    const url = `${gateway.url}/api/runs/${runIdOf(reader)}/events`
    const drained = gateway.deps.drain.begin()
    await using back = await EventCollector.open(url, { headers: { 'last-event-id': String(id) } })
    await back.ended
    expect([back.status, allDataOf(back, 'disconnected')]).toEqual([
      200,
      [{ reason: 'busy', reconnect: true, message: expect.any(String) }],
    ])
    expect(await get(url, {})).toMatchObject({ status: 503, body: { code: 'draining' } })
    await using resumed = await EventCollector.open(gateway.url + SAMPLE_PARALLEL, {
      headers: { 'last-event-id': String(id) },
    })
    await resumed.ended
    expect(allDataOf(resumed, 'disconnected')).toMatchObject([{ reason: 'busy' }])
    more.resolve()
    await Promise.all([drained, reader.ended])
    // In memory it cannot be gone on with, so it is let finish.
    expect(reader.ofType('complete')).toHaveLength(1)
  })
})
