import { describe, expect, it } from 'vitest'
import { startCountingApi } from './counting-api.ts'
import { KeptWorker, loggedBy } from './kept-worker.ts'

const JSON_ONLY = { accept: 'application/json' }

const pageOf = async (url: string) => Object(await (await fetch(url, { headers: JSON_ONLY })).json())

describe('the runs of a worker that is killed and comes back', () => {
  it('are started once by a key, whatever became of the answer', async () => {
    await using api = await startCountingApi()
    await using worker = await KeptWorker.start()
    const body = { tasks: [{ id: 'a', url: `${api.url}/held-post`, method: 'POST' }] }
    const key = { 'idempotency-key': 'order 17' }
    const [first, second] = await Promise.all([worker.start(body, key), worker.start(body, key)])
    expect(second.runId).toBe(first.runId)
    await api.called('/held-post', 1)
    await worker.kill()
    await worker.comeBack()
    const again = await worker.start(body, key)
    expect(again.runId).toBe(first.runId)
    expect(again.answer.headers.get('idempotent-replayed')).toBe('true')
    await expect(worker.start({ tasks: ['Other'] }, key)).rejects.toThrow('idempotency_conflict')
    const events = await worker.readAll(first.runId)
    expect(events.at(-1)?.data).toMatchObject({ status: 'failed', errors: [{ code: 'worker_lost' }] })
    expect(api.calls.get('/held-post')).toBe(1)
    expect((await pageOf(`${worker.url}/api/runs`)).runs).toHaveLength(1)
  })

  it('are read on by polling, with the same cursor', async () => {
    await using api = await startCountingApi()
    await using worker = await KeptWorker.start()
    const tasks = ['now', 'held'].map((id) => ({ id, url: `${api.url}/${id}` }))
    const { runId } = await worker.start({ tasks })
    const events = `${worker.url}/api/runs/${runId}/events`
    const seen: { id: string; type: string }[] = []
    let cursor = ''
    const poll = async (query: string) => {
      const page = await pageOf(
        `${events}?${query}${cursor === '' ? '' : `&after=${encodeURIComponent(cursor)}`}`,
      )
      seen.push(...page.events)
      cursor = page.cursor
      return page.ended
    }
    while (!seen.some(({ type }) => type === 'task_complete')) await poll('wait=5000')
    await api.called('/held', 1)
    const waiting = poll('wait=30000').then(
      () => 'answered',
      () => 'cut',
    )
    await worker.kill()
    expect(['answered', 'cut']).toContain(await waiting)
    await worker.comeBack()
    api.release('/held')
    while (!(await poll('wait=5000&limit=2')));
    const whole = await worker.readAll(runId)
    expect(seen.map(({ id, type }) => [id, type])).toEqual(whole.map(({ id, type }) => [id, type]))
    expect(whole.at(-1)?.data).toMatchObject({ status: 'succeeded' })
  })

  it('are cancelled where nobody comes back to them that they were for', async () => {
    await using api = await startCountingApi()
    await using worker = await KeptWorker.start({ DISCONNECT_GRACE_MS: '3000' })
    const task = { id: 'a', url: `${api.url}/held` }
    const left = await worker.start({ tasks: [task], onDisconnect: 'cancel' })
    const kept = await worker.start({ tasks: [task], onDisconnect: 'cancel' })
    const reader = await worker.read(left.runId)
    const stays = await worker.read(kept.runId)
    await api.called('/held', 2)
    await worker.kill()
    await worker.comeBack()
    await using back = await worker.read(kept.runId, stays.lastEventId)
    await reader.close()
    await stays.close()
    while ((await pageOf(`${worker.url}/api/runs/${left.runId}`)).status === 'running');
    expect((await worker.readAll(left.runId)).at(-1)?.data).toMatchObject({ status: 'cancelled' })
    api.release('/held')
    await back.waitFor('complete')
    expect(loggedBy(back).at(-1)?.data).toMatchObject({ status: 'succeeded' })
  })

  it('expire when they would have without that', async () => {
    await using api = await startCountingApi()
    await using worker = await KeptWorker.start()
    const { runId } = await worker.start({ deadlineMs: 3_000, tasks: [{ id: 'a', url: `${api.url}/held` }] })
    await api.called('/held', 1)
    await worker.kill()
    await worker.comeBack()
    const events = await worker.readAll(runId)
    expect(events.at(-1)?.data).toMatchObject({ status: 'expired', errorCount: 1 })
  })
})
