import { allDataOf, dataOf, EventCollector } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { serveHeld } from './held-api.ts'
import { serveHttp } from './local-server.ts'
import { type RunningWorker, startWorker } from './running-worker.ts'

const cancel = async (worker: RunningWorker, runId: string) =>
  (await fetch(`${worker.url}/api/runs/${runId}/cancel`, { method: 'POST' })).json()

/** Events of the log, without control frames. */
const logged = ({ events }: EventCollector) =>
  events.filter(({ type }) => !['connection', 'heartbeat', 'disconnected'].includes(type))

describe('a run', () => {
  it('goes on when its reader leaves, and gives one who comes back exactly the rest', async () => {
    await using api = await serveHeld()
    await using worker = await startWorker()
    const tasks = ['/a', '/b', '/c'].map((path) => ({ id: path, url: api.url + path }))
    const first = await worker.run({ concurrency: 1, tasks })
    const { runId } = await dataOf(first, 'connection')
    await api.answer('/a')
    const seen = await first.waitFor('task_complete')
    await first.close()
    await api.answer('/b')
    await api.answer('/c')
    const whole = await EventCollector.open(`${worker.url}/api/runs/${runId}/events`)
    await whole.ended
    const rest = await EventCollector.open(`${worker.url}/api/runs/${runId}/events`, {
      headers: { 'last-event-id': String(seen.id) },
    })
    await rest.ended
    const all = logged(whole)
    const place = all.findIndex(({ id }) => id === seen.id)
    expect(place).toBeGreaterThan(-1)
    expect(logged(rest)).toEqual(all.slice(place + 1))
    expect(all.at(-1)).toMatchObject({ type: 'complete', data: { status: 'succeeded', totalTasks: 3 } })
    expect(await dataOf(rest, 'connection')).toMatchObject({ resumed: true, runId })
  })

  it('resumes from every one of its events, and answers 204 past its end', async () => {
    await using api = await serveHttp((_, response) => response.end('x'))
    await using worker = await startWorker()
    const events = await worker.run({ tasks: [{ url: api.url }, { url: api.url }] })
    await events.ended
    const { runId } = await dataOf(events, 'connection')
    const all = logged(events)
    for (const [index, { id }] of all.slice(0, -1).entries()) {
      const rest = await EventCollector.open(
        `${worker.url}/api/runs/${runId}/events?lastEventId=${encodeURIComponent(String(id))}`,
      )
      await rest.ended
      expect(logged(rest).map((event) => event.id)).toEqual(all.slice(index + 1).map((event) => event.id))
    }
    const past = await fetch(`${worker.url}/api/runs/${runId}/events`, {
      headers: { 'last-event-id': String(all.at(-1)?.id) },
    })
    expect(past.status).toBe(204)
  })

  it('is read by any number, each of whom gets the same', async () => {
    await using api = await serveHeld()
    await using worker = await startWorker()
    const first = await worker.run({ tasks: [{ url: `${api.url}/a` }] })
    const { runId } = await dataOf(first, 'connection')
    const readers = await Promise.all(
      Array.from({ length: 20 }, () => EventCollector.open(`${worker.url}/api/runs/${runId}/events`)),
    )
    await api.answer('/a')
    await Promise.all([first, ...readers].map((reader) => reader.ended))
    for (const reader of readers) expect(logged(reader)).toEqual(logged(first))
  })

  it('is cancelled at once: its sockets closed, every task with a final state, one terminal event', async () => {
    await using api = await serveHeld()
    await using worker = await startWorker()
    const tasks = ['/a', '/b', '/c', '/d'].map((path) => ({ id: path, url: api.url + path }))
    const events = await worker.run({ concurrency: 2, tasks })
    const { runId } = await dataOf(events, 'connection')
    await api.called(2)
    const closed = Promise.all(
      [...api.sockets].map((socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()))),
    )
    expect(await cancel(worker, runId)).toEqual({ runId, status: 'cancelled', cancelled: true })
    await closed
    await events.ended
    const failed = allDataOf(events, 'error')
    expect(failed.map(({ taskId, code, attempt }) => [taskId, code, attempt])).toEqual([
      ['/a', 'cancelled', 1],
      ['/b', 'cancelled', 1],
      ['/c', 'cancelled', 0],
      ['/d', 'cancelled', 0],
    ])
    const terminal = events.ofType('complete')
    expect(terminal.map(({ data }) => data)).toMatchObject([
      { status: 'cancelled', successCount: 0, errorCount: 4 },
    ])
    // Idempotent: the second changes nothing.
    expect(await cancel(worker, runId)).toEqual({ runId, status: 'cancelled', cancelled: false })
    expect(worker.deps.scheduler).toMatchObject({ activeCount: 0, originCount: 0, laneCount: 0 })
  })

  it('that is not there is a 404 that says so', async () => {
    await using worker = await startWorker()
    for (const [path, method] of [
      ['', 'GET'],
      ['/events', 'GET'],
      ['/cancel', 'POST'],
    ]) {
      const answer = await fetch(`${worker.url}/api/runs/none${path}`, { method: method ?? 'GET' })
      expect(answer.status).toBe(404)
      expect(await answer.json()).toMatchObject({ code: 'run_not_found' })
    }
  })

  it('is not begun by a request whose cursor is none', async () => {
    await using worker = await startWorker()
    const answer = await worker.post({ tasks: ['Any'] }, { 'last-event-id': 'x y' })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ code: 'invalid_cursor' })
    expect(worker.deps.runs.size).toBe(0)
  })
})

describe.each(['sample-parallel', 'parallel-tasks-progress', 'flow-example?count=3&intervalMs=5'])(
  'GET /api/sse/%s',
  (path) => {
    it('really runs, and with a cursor goes on and starts nothing', async () => {
      await using worker = await startWorker({}, { random: () => 0 })
      const url = `${worker.url}/api/sse/${path}`
      const events = await EventCollector.open(url)
      const data = await dataOf(events, 'complete')
      expect(data).toMatchObject({ status: 'succeeded', errorCount: 0 })
      const all = logged(events)
      const middle = Math.floor(all.length / 2)
      const rest = await EventCollector.open(url, { headers: { 'last-event-id': String(all[middle]?.id) } })
      await rest.ended
      expect(logged(rest)).toEqual(all.slice(middle + 1))
      const last = String(all.at(-1)?.id)
      for (const cursor of [last, '0123456789abcdef.1700000000000-3', '1700000000000-3', '1700000000000']) {
        const answer = await fetch(url, { headers: { 'last-event-id': cursor } })
        expect([cursor, answer.status]).toEqual([cursor, 204])
      }
      expect(worker.deps.runs.size).toBe(1)
    })
  },
)
