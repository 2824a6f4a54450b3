import { PollAnswer, RunList } from '@tributary/protocol'
import { dataOf } from '@tributary/testkit'
import { Compile } from 'typebox/compile'
import { describe, expect, it } from 'vitest'
import { serveHeld } from './held-api.ts'
import { serveHttp } from './local-server.ts'
import { type RunningWorker, startWorker } from './running-worker.ts'

const JSON_ONLY = { accept: 'application/json' }
const pollAnswer = Compile(PollAnswer)
const runList = Compile(RunList)

async function pageOf(worker: RunningWorker, runId: string, query = ''): Promise<PollAnswer> {
  const answer = await fetch(`${worker.url}/api/runs/${runId}/events${query}`, { headers: JSON_ONLY })
  expect(answer.status).toBe(200)
  expect(answer.headers.get('content-type')).toContain('application/json')
  expect(answer.headers.get('run-id')).toBe(runId)
  return pollAnswer.Parse(await answer.json())
}

describe('the events of a run as JSON', () => {
  it('come page by page, and say when that was all', async () => {
    await using api = await serveHttp((_, response) => response.end('x'))
    await using worker = await startWorker()
    const { runId } = await worker.start({
      tasks: [{ url: api.url }, { id: 'no', url: 'http://127.0.0.1:1/' }],
    })
    await (await worker.deps.runs.find(runId)).ended
    const whole = await pageOf(worker, runId)
    expect(whole.events.map(({ type }) => type)).toContain('task_error')
    expect(whole.events.at(-1)).toMatchObject({ type: 'complete', data: { runId }, source: 'worker' })
    expect(whole).toMatchObject({ hasMore: false, ended: true })
    const paged: PollAnswer['events'] = []
    for (let after = '', ended = false; !ended; ) {
      const page = await pageOf(
        worker,
        runId,
        `?limit=3&after=${encodeURIComponent(after)}`.replace(/&after=$/, ''),
      )
      expect(page.events.length).toBeLessThanOrEqual(3)
      paged.push(...page.events)
      after = page.cursor
      ended = page.ended
    }
    expect(paged).toEqual(whole.events)
    // A page's cursor is a stream's, too.
    const stream = await fetch(`${worker.url}/api/runs/${runId}/events`, {
      headers: { 'last-event-id': whole.cursor },
    })
    expect(stream.status).toBe(204)
  })

  it('are waited for', async () => {
    await using api = await serveHeld()
    await using worker = await startWorker()
    const { runId } = await worker.start({ tasks: [{ id: 'a', url: `${api.url}/a` }] })
    await api.called(1)
    const { cursor, ended } = await pageOf(worker, runId)
    expect(ended).toBe(false)
    const waiting = pageOf(worker, runId, `?wait=30000&after=${encodeURIComponent(cursor)}`)
    await api.answer('/a')
    const { events } = await waiting
    expect(events[0]?.type).toBe('task_complete')
  })

  it('refuse a cursor that is none, as a stream does', async () => {
    await using worker = await startWorker()
    const { runId } = await worker.start({ tasks: ['Any'] })
    const answer = await fetch(`${worker.url}/api/runs/${runId}/events?after=x%20y`, { headers: JSON_ONLY })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ code: 'invalid_cursor' })
  })

  it('are a stream to a client that takes either', async () => {
    await using worker = await startWorker()
    const events = await worker.run(
      { tasks: ['Any'] },
      { accept: 'text/event-stream, application/json;q=0.5' },
    )
    const { runId } = await dataOf(events, 'complete')
    expect(events.headers).toMatchObject({ 'run-id': runId, location: `/api/runs/${runId}` })
  })
})

describe('a start that asks for JSON', () => {
  it('is answered with where the run is', async () => {
    await using worker = await startWorker()
    const answer = await worker.post({ tasks: ['Any'] }, JSON_ONLY)
    const runId = answer.headers.get('run-id')
    expect(answer.status).toBe(202)
    expect(answer.headers.get('location')).toBe(`/api/runs/${runId}`)
    expect(await answer.json()).toEqual({ runId, status: 'running', events: `/api/runs/${runId}/events` })
  })
})

describe('GET /api/runs', () => {
  const list = async (worker: RunningWorker, query = ''): Promise<RunList> =>
    runList.Parse(await (await fetch(`${worker.url}/api/runs${query}`)).json())

  it('tells of runs page by page, and of those in a state', async () => {
    await using api = await serveHeld()
    await using worker = await startWorker()
    const { runId: running } = await worker.start({ tasks: [{ url: `${api.url}/a` }] })
    const failed: string[] = []
    for (let n = 0; n < 4; n++) {
      const { runId } = await worker.start({ tasks: [{ url: 'http://127.0.0.1:1/', retries: 0 }] })
      await (await worker.deps.runs.find(runId)).ended
      failed.push(runId)
    }
    const seen: string[] = []
    for (let query: string | undefined = '?status=failed&limit=3'; query !== undefined; ) {
      const { runs, next } = await list(worker, query)
      seen.push(...runs.map(({ runId }) => runId))
      query = next === undefined ? undefined : `?status=failed&limit=3&after=${encodeURIComponent(next)}`
    }
    expect(seen.toSorted()).toEqual(failed.toSorted())
    expect((await list(worker, '?status=running')).runs).toMatchObject([{ runId: running, totalTasks: 1 }])
    expect((await list(worker, '?kind=flow')).runs).toEqual([])
    for (const query of ['?status=odd', '?limit=0', '?limit=1001', '?after=x']) {
      expect((await fetch(`${worker.url}/api/runs${query}`)).status).toBe(400)
    }
  })

  it('forgets the oldest that have ended, which are gone from then on', async () => {
    await using worker = await startWorker({ RUN_MAX_COUNT: '2' })
    const ids: string[] = []
    for (let n = 0; n < 3; n++) {
      const { runId } = await worker.start({ tasks: [{ url: 'http://127.0.0.1:1/', retries: 0 }] })
      await (await worker.deps.runs.find(runId)).ended
      ids.push(runId)
    }
    while (worker.deps.runs.size > 2) await new Promise(setImmediate)
    for (const path of ['', '/events']) {
      const answer = await fetch(`${worker.url}/api/runs/${ids[0]}${path}`)
      expect(answer.status).toBe(410)
      expect(await answer.json()).toMatchObject({ code: 'run_gone' })
    }
    expect((await list(worker)).runs.map(({ runId }) => runId).toSorted()).toEqual(ids.slice(1).toSorted())
  })
})
