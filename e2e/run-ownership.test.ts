import { dataOf, EventCollector, ScriptedUpstream } from '@tributary/testkit'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
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

const SECRET = 'a secret of thirty-two characters'
const env = {
  NODE_ENV: 'production',
  AUTH_JWT_SECRET: SECRET,
  WORKER_SECRET: 'another secret of more than 32 characters',
}
const WORKER_TASKS = '/api/sse/emitter/parallel-tasks'

function bearer(sub: string): Promise<Record<string, string>> {
  return new SignJWT({ sub, roles: sub === 'admin' || sub === 'publisher' ? [sub] : [] })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRET))
    .then((token) => ({ authorization: `Bearer ${token}` }))
}

const JSON_ANSWER = { accept: 'application/json' }

describe('a run', () => {
  let api: ScriptedUpstream
  let worker: Awaited<ReturnType<typeof startWorker>>
  let gateway: Awaited<ReturnType<typeof startGateway>>
  beforeAll(async () => {
    api = await ScriptedUpstream.start()
    api.route('/held', () => undefined)
    worker = await startWorker({ env })
    gateway = await startGateway({ env, workers: [worker] })
  })
  afterAll(async () => {
    await gateway.close()
    await worker.close()
    await api[Symbol.asyncDispose]()
  })

  const held = () => ({ tasks: [{ id: 'a', url: `${api.url}/held` }] })
  const start = async (url: string, body: unknown, who = 'alice') => {
    const answer = await postJson(url, body, { ...JSON_ANSWER, ...(await bearer(who)) })
    expect(answer.status).toBe(202)
    return (await answer.json()).runId as string
  }
  /** Where a run may be started, and where it is. */
  const STARTS: [string, () => Promise<string>][] = [
    ['started through the gateway', () => start(gateway.url + PARALLEL_TASKS, held())],
    ['started at the worker', () => start(worker.url + WORKER_TASKS, held())],
  ]
  const OWN: [string, () => Promise<string>][] = [
    ['of the gateway itself', () => start(gateway.url + HYBRID, { remoteTasks: held().tasks })],
  ]
  const statusOf = async (answer: Response) => {
    const isStream = answer.headers.get('content-type')?.startsWith('text/event-stream') ?? false
    if (isStream) await answer.body?.cancel()
    const { code } = isStream || answer.status === 204 ? { code: undefined } : await answer.json()
    return [answer.status, code]
  }

  describe.each([...STARTS, ...OWN])('%s', (name, begin) => {
    const services = () => (name === 'of the gateway itself' ? [gateway] : [gateway, worker])

    it.each(['bob', 'publisher', 'gateway'])('is nothing that %s may see, read or cancel', async (who) => {
      const runId = await begin()
      const headers = await bearer(who)
      for (const { url } of services()) {
        const run = `${url}/api/runs/${runId}`
        expect(await statusOf(await fetch(run, { headers }))).toEqual([403, 'forbidden'])
        expect(await statusOf(await fetch(`${run}/events`, { headers }))).toEqual([403, 'forbidden'])
        const cursors = [`${runId}.1-1`, '0', '1-1']
        for (const cursor of cursors) {
          const resumed = await fetch(`${run}/events`, { headers: { ...headers, 'last-event-id': cursor } })
          expect(await statusOf(resumed)).toEqual([403, 'forbidden'])
        }
        const page = await fetch(`${run}/events?wait=10`, { headers: { ...headers, ...JSON_ANSWER } })
        expect(await statusOf(page)).toEqual([403, 'forbidden'])
        expect(await statusOf(await fetch(`${run}/cancel`, { method: 'POST', headers }))).toEqual([
          403,
          'forbidden',
        ])
        const { runs } = await (await fetch(`${url}/api/runs?limit=1000`, { headers })).json()
        expect(runs.filter(({ userId }: { userId: string }) => userId !== who)).toEqual([])
      }
      const view = await fetch(`${gateway.url}/api/runs/${runId}`, { headers: await bearer('alice') })
      expect(await view.json()).toMatchObject({ runId, userId: 'alice', status: 'running' })
    })

    it.each(['alice', 'admin'])('is seen, read and cancelled by %s', async (who) => {
      const runId = await begin()
      const headers = await bearer(who)
      for (const { url } of services()) {
        const run = `${url}/api/runs/${runId}`
        expect(await (await fetch(run, { headers })).json()).toMatchObject({ runId, userId: 'alice' })
        await using reader = await EventCollector.open(`${run}/events`, { headers })
        await reader.waitFor('task_start')
        const page = await fetch(`${run}/events`, { headers: { ...headers, ...JSON_ANSWER } })
        expect(page.status).toBe(200)
        const { runs } = await (await fetch(`${url}/api/runs?limit=1000`, { headers })).json()
        expect(runs.map((each: { runId: string }) => each.runId)).toContain(runId)
      }
      const cancelled = await fetch(`${gateway.url}/api/runs/${runId}/cancel`, { method: 'POST', headers })
      expect(await cancelled.json()).toMatchObject({ status: 'cancelled' })
    })
  })

  it('of somebody else is not read by a relay, a merge, or a cancel that is relayed', async () => {
    const runId = await start(gateway.url + PARALLEL_TASKS, held())
    const headers = await bearer('bob')
    const endpoint = `/api/runs/${runId}/events`
    const relayed = await postJson(gateway.url + RELAY, { endpoint }, headers)
    expect(await statusOf(relayed)).toEqual([403, 'forbidden'])
    const cancel = { endpoint: `/api/runs/${runId}/cancel`, method: 'POST' }
    expect(await statusOf(await postJson(gateway.url + RELAY, cancel, headers))).toEqual([403, 'forbidden'])
    for (const path of [`/api/%72uns/${runId}/events`, `/api/x/../runs/${runId}/events`]) {
      const refused = await postJson(gateway.url + RELAY, { endpoint: path }, headers)
      expect(await statusOf(refused)).toEqual([403, 'forbidden'])
    }
    await using merged = await EventCollector.open(gateway.url + MERGE, {
      body: [endpoint, `/api/runs/${runId}`],
      headers,
    })
    await merged.ended
    expect(logged(merged).map(({ type }) => type)).toEqual(['source_error', 'source_error', 'complete'])
    expect(await dataOf(merged, 'source_error')).toMatchObject({ source: endpoint, code: 'forbidden' })
    const view = await fetch(`${worker.url}/api/runs/${runId}`, { headers: await bearer('alice') })
    expect(await view.json()).toMatchObject({ status: 'running' })
  })

  it('is relayed and merged by who started it', async () => {
    const runId = await start(gateway.url + PARALLEL_TASKS, held())
    const headers = await bearer('alice')
    const endpoint = `/api/runs/${runId}/events`
    await using relayed = await EventCollector.open(gateway.url + RELAY, { body: { endpoint }, headers })
    await using merged = await EventCollector.open(gateway.url + MERGE, { body: [endpoint], headers })
    await Promise.all([relayed.waitFor('task_start'), merged.waitFor('task_start')])
    const view = await fetch(`${gateway.url}/api/runs/${runIdOf(merged)}`, { headers })
    expect(await view.json()).toMatchObject({ kind: 'merge', userId: 'alice' })
  })

  it('is the answer to an Idempotency-Key of who started it, and of nobody else', async () => {
    const key = { 'idempotency-key': 'k', ...JSON_ANSWER }
    for (const url of [gateway.url + PARALLEL_TASKS, worker.url + WORKER_TASKS, gateway.url + HYBRID]) {
      const body = url.endsWith(HYBRID) ? { remoteTasks: held().tasks } : held()
      const ask = async (who: string) =>
        (await postJson(url, body, { ...key, ...(await bearer(who)) })).json()
      const mine = await ask('alice')
      expect((await ask('alice')).runId).toBe(mine.runId)
      expect((await ask('bob')).runId).not.toBe(mine.runId)
    }
  })

  it('is listed page by page with the others of its user, however many of other users lie between', async () => {
    const own: string[] = []
    for (let n = 0; n < 6; n++) {
      own.push(
        await start(
          n % 2 === 0 ? gateway.url + PARALLEL_TASKS : gateway.url + MERGE,
          n % 2 === 0 ? held() : ['/api/runs/none/events', { name: 'x', endpoint: '/api/runs/none/events' }],
          'carol',
        ),
      )
      await start(gateway.url + PARALLEL_TASKS, held(), 'dave')
      await start(worker.url + WORKER_TASKS, held(), 'dave')
    }
    const headers = await bearer('carol')
    const seen: string[] = []
    for (let after = ''; ; ) {
      const query = after === '' ? 'limit=2' : `limit=2&after=${after}`
      const { runs, next } = await (await fetch(`${gateway.url}/api/runs?${query}`, { headers })).json()
      expect(runs.length).toBeLessThanOrEqual(2)
      seen.push(...runs.map(({ runId }: { runId: string }) => runId))
      if (next === undefined) break
      after = next
    }
    expect(seen.toSorted()).toEqual(own.toSorted())
  })
})

describe('while its worker is away, a run', () => {
  it('is told to who started it, and to nobody else', async () => {
    await using api = await ScriptedUpstream.start()
    api.route('/held', () => undefined)
    await using worker = await startWorker({ env })
    await using gateway = await startGateway({ env, workers: [worker] })
    const body = { tasks: [{ id: 'a', url: `${api.url}/held` }] }
    const alice = await bearer('alice')
    const started = await postJson(gateway.url + PARALLEL_TASKS, body, { ...alice, ...JSON_ANSWER })
    const { runId } = await started.json()
    const unknown = await (
      await postJson(worker.url + WORKER_TASKS, body, { ...alice, ...JSON_ANSWER })
    ).json()
    await worker.close()
    const view = await fetch(`${gateway.url}/api/runs/${runId}`, { headers: alice })
    expect(await view.json()).toMatchObject({ status: 'unreachable', userId: 'alice' })
    const headers = await bearer('bob')
    expect((await fetch(`${gateway.url}/api/runs/${runId}`, { headers })).status).toBe(403)
    expect((await fetch(`${gateway.url}/api/runs/${runId}/events`, { headers })).status).toBe(403)
    expect((await (await fetch(`${gateway.url}/api/runs`, { headers })).json()).runs).toEqual([])
    expect((await (await fetch(`${gateway.url}/api/runs`, { headers: alice })).json()).runs).toHaveLength(1)
    // Of one that this gateway has never heard of nobody can say whose it is.
    for (const who of [alice, headers]) {
      const answer = await fetch(`${gateway.url}/api/runs/${unknown.runId}`, { headers: who })
      expect([answer.status, (await answer.json()).code]).toEqual([503, 'upstream_unavailable'])
    }
  })
})

describe('a gateway that its worker does not know', () => {
  it('says so as its own fault, not as that of its user', async () => {
    await using worker = await startWorker({ env })
    await using gateway = await startGateway({
      env: { ...env, WORKER_SECRET: 'what the worker does not have: 32' },
      workers: [worker],
    })
    const answer = await postJson(gateway.url + PARALLEL_TASKS, { tasks: ['x'] }, await bearer('alice'))
    expect([answer.status, await answer.json()]).toMatchObject([
      502,
      { code: 'upstream_failed', detail: expect.stringContaining('WORKER_SECRET') },
    ])
  })
})

describe('in development, with nothing configured', () => {
  it('runs belong to who started them, at both services', async () => {
    await using api = await ScriptedUpstream.start()
    api.route('/held', () => undefined)
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    const body = { tasks: [{ id: 'a', url: `${api.url}/held` }] }
    const alice = { authorization: 'Bearer alice-token' }
    const started = await postJson(gateway.url + PARALLEL_TASKS, body, { ...alice, ...JSON_ANSWER })
    const { runId } = await started.json()
    for (const { url } of [gateway, worker]) {
      const statusFor = async (query: string, headers = {}) =>
        (await fetch(`${url}/api/runs/${runId}${query}`, { headers })).status
      expect(await statusFor('', alice)).toBe(200)
      expect(await statusFor('?userId=alice')).toBe(200)
      expect(await statusFor('')).toBe(200)
      expect(await statusFor('', { authorization: 'Bearer bob-token' })).toBe(403)
      expect(await statusFor('?userId=bob')).toBe(403)
    }
  })
})
