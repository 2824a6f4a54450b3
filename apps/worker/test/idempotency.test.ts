import { dataOf, type EventCollector } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { serveHeld } from './held-api.ts'
import { serveHttp } from './local-server.ts'
import { startWorker } from './running-worker.ts'

const replayedOf = ({ headers }: EventCollector) => headers['idempotent-replayed']

describe('parallel tasks with an Idempotency-Key', () => {
  it('answer the same run again, as a stream or as JSON', async () => {
    await using api = await serveHeld()
    await using worker = await startWorker()
    const body = { tasks: [{ id: 'a', url: `${api.url}/a`, method: 'POST' }] }
    const key = { 'idempotency-key': 'order 17' }
    const first = await worker.run(body, key)
    const { runId } = await dataOf(first, 'connection')
    const second = await worker.run(body, key)
    expect(await dataOf(second, 'connection')).toMatchObject({ runId })
    expect([replayedOf(first), replayedOf(second)]).toEqual([undefined, 'true'])
    const third = await worker.post(body, { ...key, accept: 'application/json' })
    expect(third.status).toBe(202)
    expect(third.headers.get('idempotent-replayed')).toBe('true')
    expect(await third.json()).toMatchObject({ runId, status: 'running' })
    await api.answer('/a')
    await Promise.all([first.ended, second.ended])
    expect(second.events.slice(1)).toEqual(first.events.slice(1))
    const late = await worker.run(body, key)
    await late.ended
    expect(await dataOf(late, 'complete')).toMatchObject({ runId, status: 'succeeded' })
    const past = await worker.post(body, { ...key, 'last-event-id': String(late.lastEventId) })
    expect(past.status).toBe(204)
    expect(api.calls).toEqual(['POST /a'])
  })

  it('start one run however many ask at once', async () => {
    await using api = await serveHttp((_, response) => response.end('x'))
    await using worker = await startWorker()
    const body = { tasks: [{ url: api.url }] }
    const answers = await Promise.all(
      Array.from({ length: 8 }, () =>
        worker.post(body, { 'idempotency-key': 'k', accept: 'application/json' }),
      ),
    )
    expect(new Set(answers.map(({ headers }) => headers.get('run-id'))).size).toBe(1)
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === null)).toHaveLength(1)
    expect(worker.deps.runs.size).toBe(1)
  })

  it('refuse the key for something else, and take that of another user', async () => {
    await using worker = await startWorker({
      AUTH_STATIC_TOKENS: 'ann-token=ann;bob-token=bob',
      NODE_ENV: 'development',
    })
    const headers = { accept: 'application/json', 'idempotency-key': 'k' }
    const as = (token: string) => ({ ...headers, authorization: `Bearer ${token}` })
    const first = await worker.post({ tasks: ['Any'] }, as('ann-token'))
    expect(first.status).toBe(202)
    const other = await worker.post({ tasks: ['Other'] }, as('ann-token'))
    expect(other.status).toBe(422)
    expect(await other.json()).toMatchObject({ code: 'idempotency_conflict' })
    const bobs = await worker.post({ tasks: ['Other'] }, as('bob-token'))
    expect(bobs.status).toBe(202)
    expect(bobs.headers.get('idempotent-replayed')).toBeNull()
  })

  it('refuse a key that is none', async () => {
    await using worker = await startWorker()
    const answer = await worker.post({ tasks: ['Any'] }, { 'idempotency-key': 'x'.repeat(257) })
    expect(answer.status).toBe(400)
    expect(worker.deps.runs.size).toBe(0)
  })
})

describe('a GET that starts a run, with an Idempotency-Key', () => {
  it('answers the same run again, and refuses the key for another', async () => {
    await using worker = await startWorker()
    const start = async (path: string) => {
      const headers = { accept: 'application/json', 'idempotency-key': 'k' }
      const answer = await fetch(`${worker.url}/api/sse/${path}`, { headers })
      const { runId, code }: { runId?: string; code?: string } = JSON.parse(await answer.text())
      return { runId, code, replayed: answer.headers.get('idempotent-replayed') }
    }
    const first = await start('flow-example?count=1&intervalMs=1')
    const again = await start('flow-example?count=1&intervalMs=1')
    expect(again).toEqual({ ...first, replayed: 'true' })
    expect((await start('flow-example?count=2&intervalMs=1')).code).toBe('idempotency_conflict')
    expect((await start('sample-parallel')).code).toBe('idempotency_conflict')
    expect(worker.deps.runs.size).toBe(1)
  })
})
