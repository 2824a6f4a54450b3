import { fileURLToPath } from 'node:url'
import { allDataOf, dataOf, EventCollector } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { serveHttp } from './local-server.ts'
import { startWorker } from './running-worker.ts'

const HANDLERS_DIR = fileURLToPath(new URL('handlers', import.meta.url))

describe('a named task', () => {
  it('runs beside HTTP tasks, through the guarded client', async () => {
    await using api = await serveHttp((_, response) => {
      response.setHeader('content-type', 'application/json')
      response.end('[1,2]')
    })
    await using worker = await startWorker()
    const events = await worker.run({
      tasks: [
        { id: 'named', name: 'Fetch External Data', input: { url: api.url } },
        { id: 'http', url: api.url },
        'Call Third-party API',
      ],
    })
    expect(await dataOf(events, 'complete')).toMatchObject({ successCount: 3 })
    const { results } = await dataOf(events, 'aggregated_result')
    expect(results.named).toMatchObject({ status: 200, body: { data: [1, 2], counts: { items: 2 } } })
    expect(results.http).toMatchObject({ status: 200, body: [1, 2] })
    expect(results['task-3']).toMatchObject({ body: { method: 'POST', status: 201 } })
    const progress = allDataOf(events, 'task_progress').filter(({ taskId }) => taskId === 'named')
    expect(progress.at(-1)).toMatchObject({ progress: 100 })
  })

  it('is refused where its input does not fit', async () => {
    await using worker = await startWorker({ HANDLERS_DIR })
    const answer = await worker.post({ tasks: [{ id: 'hot', name: 'Burn', input: { ms: 'long' } }] })
    expect(answer.status).toBe(422)
    expect(await answer.json()).toMatchObject({
      code: 'invalid_task',
      detail: expect.stringContaining('"hot"'),
      errors: [{ path: 'body/tasks/0/input' }],
    })
  })

  it('is simulated in development where no handler has its name', async () => {
    await using worker = await startWorker()
    const events = await worker.run({ tasks: [{ id: 'x', name: 'Nobody' }] })
    const data = await dataOf(events, 'task_complete')
    expect(data).toMatchObject({ taskName: 'Nobody', result: { body: { simulated: true, name: 'Nobody' } } })
    expect(events.ofType('task_progress').length).toBeGreaterThan(0)
  })

  it('may not call what is refused, and says so in its code', async () => {
    await using worker = await startWorker({ OUTBOUND_ALLOW: '' })
    const input = { url: 'http://127.0.0.1:1/' }
    const events = await worker.run({ tasks: [{ name: 'Fetch External Data', input }] })
    expect(await dataOf(events, 'error')).toMatchObject({ code: 'address_refused' })
  })

  it('that computes stalls no stream', async () => {
    await using worker = await startWorker({ HANDLERS_DIR, HEARTBEAT_MS: '50' })
    const events = await worker.run({ tasks: [{ id: 'hot', name: 'Burn', input: { ms: 1_000 } }] })
    const { runId } = await dataOf(events, 'connection')
    const other = await EventCollector.open(`${worker.url}/api/runs/${runId}/events`)
    await events.waitFor('task_start')
    expect((await dataOf(events, 'task_complete')).result.body).toEqual({ burned: true })
    const between = other.events.slice(
      0,
      other.events.findIndex(({ type }) => type === 'task_complete'),
    )
    expect(between.filter(({ type }) => type === 'heartbeat').length).toBeGreaterThan(1)
    expect(between.filter(({ type }) => type === 'task_progress').length).toBeGreaterThan(1)
  })

  it('that computes is ended in the midst of it by a cancel, and by its timeout', async () => {
    await using worker = await startWorker({ HANDLERS_DIR })
    const hot = { name: 'Burn', input: { ms: 60_000 } }
    const events = await worker.run({
      tasks: [
        { id: 'late', ...hot, timeoutMs: 300 },
        { id: 'cut', ...hot },
      ],
    })
    expect(await dataOf(events, 'error')).toMatchObject({ taskId: 'late', code: 'task_timeout' })
    const { runId } = await dataOf(events, 'connection')
    await fetch(`${worker.url}/api/runs/${runId}/cancel`, { method: 'POST' })
    const data = await dataOf(events, 'complete')
    expect(data).toMatchObject({ status: 'cancelled', errorCount: 2 })
    expect(data.errors[1]).toMatchObject({ taskId: 'cut', code: 'cancelled' })
  })
})
