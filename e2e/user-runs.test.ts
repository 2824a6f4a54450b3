import { EventCollector, ScriptedUpstream } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { HYBRID, PARALLEL_TASKS, postJson, runIdOf, startGateway, startWorker } from './services.ts'

const ALICE = { authorization: 'Bearer alice-token' }
const ADMIN = { authorization: 'Bearer test-token' }
const BOB = { authorization: 'Bearer bob-token' }

async function startApi() {
  const api = await ScriptedUpstream.start()
  return api.route('/held', () => undefined)
}

describe('a user who reads as many streams of runs as he may', () => {
  it('is told to wait, at the worker and through the gateway, until one has ended', async () => {
    await using api = await startApi()
    const env = { MAX_RUN_STREAMS_PER_USER: '2' }
    await using worker = await startWorker({ env })
    await using gateway = await startGateway({ workers: [worker], env })
    const body = { tasks: [{ id: 'a', url: `${api.url}/held` }] }
    await using started = await EventCollector.open(gateway.url + PARALLEL_TASKS, { body, headers: ALICE })
    await started.waitFor('task_start')
    for (const url of [gateway.url, worker.url]) {
      const events = `${url}/api/runs/${runIdOf(started)}/events`
      const mine = [
        ...(url === worker.url ? [await EventCollector.open(events, { headers: ALICE })] : []),
        await EventCollector.open(events, { headers: ALICE }),
      ]
      const refused = await fetch(events, { headers: ALICE })
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '10'])
      expect(await refused.json()).toMatchObject({
        code: 'user_connection_limit',
        detail: expect.stringContaining('MAX_RUN_STREAMS_PER_USER'),
      })
      const cursor = { 'last-event-id': String(started.lastEventId) }
      await using back = await EventCollector.open(events, { headers: { ...ALICE, ...cursor } })
      expect((await back.waitFor('disconnected')).data).toMatchObject({ reason: 'busy', reconnect: true })
      await using admin = await EventCollector.open(events, { headers: ADMIN })
      await admin.waitFor('connection')
      for (const reader of mine) await reader.close()
      await expect
        .poll(async () => {
          await using again = await EventCollector.open(events, { headers: ALICE })
          return again.status
        })
        .toBe(200)
    }
  })
})

describe('a user who has as many runs as he may have', () => {
  it('is told to wait, at the worker and through the gateway, until one has ended', async () => {
    await using api = await startApi()
    await using worker = await startWorker({ env: { MAX_RUNS_PER_USER: '2' } })
    await using gateway = await startGateway({ workers: [worker] })
    const body = { tasks: [{ id: 'a', url: `${api.url}/held` }] }
    const direct = `${worker.url}/api/sse/emitter/parallel-tasks`
    const first = await EventCollector.open(gateway.url + PARALLEL_TASKS, { body, headers: ALICE })
    await using _second = await EventCollector.open(direct, { body, headers: ALICE })
    for (const url of [gateway.url + PARALLEL_TASKS, direct]) {
      for (const accept of ['application/json', 'text/event-stream']) {
        const refused = await postJson(url, body, { ...ALICE, accept })
        expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5'])
        expect(await refused.json()).toMatchObject({
          code: 'user_run_limit',
          detail: expect.stringContaining('MAX_RUNS_PER_USER'),
        })
      }
    }
    await using _others = await EventCollector.open(direct, { body, headers: BOB })
    const cancel = `${gateway.url}/api/runs/${runIdOf(first)}/cancel`
    expect((await fetch(cancel, { method: 'POST', headers: ALICE })).status).toBe(200)
    await first.ended
    await using _third = await EventCollector.open(gateway.url + PARALLEL_TASKS, { body, headers: ALICE })
  })

  it('is told so of the gateway’s own runs, too, and of their tasks', async () => {
    await using gateway = await startGateway({ env: { MAX_TASKS_PER_USER: '2' } })
    const ask = (localTasks: string[]) =>
      postJson(gateway.url + HYBRID, { localTasks }, { ...ALICE, accept: 'application/json' })
    const tooMany = await ask(['a', 'b', 'c'])
    expect([tooMany.status, (await tooMany.json()).code]).toEqual([422, 'too_many_tasks'])
    expect((await ask(['a', 'b'])).status).toBe(202)
    const refused = await ask(['c'])
    expect([refused.status, (await refused.json()).code]).toEqual([429, 'user_task_limit'])
  })
})
