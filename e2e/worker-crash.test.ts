import type { CollectedEvent, EventCollector } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { type CountingApi, startCountingApi } from './counting-api.ts'
import { KeptWorker, loggedBy } from './kept-worker.ts'

/** So many tasks at a time that those which are held leave others waiting for their turn. */
const CONCURRENCY = 8

/** Twenty tasks: answered at once, to be tried again, held, and such as may not be called twice. */
function tasksOf({ url }: CountingApi) {
  const named = (prefix: string, count: number, rest: object = {}) =>
    Array.from({ length: count }, (_, n) => ({ id: `${prefix}-${n}`, url: `${url}/${prefix}-${n}`, ...rest }))
  return [
    ...named('now', 6),
    ...named('flaky', 2),
    ...named('held-get', 4),
    ...named('held-put', 2, { method: 'PUT', idempotent: true }),
    ...named('held-post', 3, { method: 'POST', body: { a: 1 } }),
    ...named('now-post', 3, { method: 'POST' }),
  ]
}

interface TaskData {
  taskId: string
  attempt: number
  code?: string
  reason?: string
}

const ofTasks = (events: readonly CollectedEvent[], ...types: string[]): TaskData[] =>
  events.filter(({ type }) => types.includes(type)).map(({ data }) => Object(data))

/** What was promised of a run whose worker died once or more, as its log and the called API tell. */
function expectKept(
  events: readonly CollectedEvent[],
  { calls }: CountingApi,
  deaths: readonly Death[],
): void {
  const places = events.map(({ id }) => Number(id?.split('-').at(-1)))
  expect(places).toEqual(places.map((_, index) => index + 1))
  expect(events.slice(-2).map(({ type }) => type)).toEqual(['aggregated_result', 'complete'])
  expect(events.filter(({ type }) => type === 'complete')).toHaveLength(1)
  expect(events.filter(({ type }) => type === 'aggregated_result')).toHaveLength(1)

  const finals = ofTasks(events, 'task_complete', 'task_error')
  expect(new Set(finals.map(({ taskId }) => taskId)).size).toBe(20)
  expect(finals).toHaveLength(20)
  const complete: { successCount: number; errorCount: number } = Object(events.at(-1)?.data)
  expect(complete.successCount + complete.errorCount).toBe(20)

  // Nothing that a reader was told is lost, and what had its result is not called again.
  for (const { told, calls: then } of deaths) {
    expect(events.slice(0, told.length)).toEqual(told)
    for (const { taskId } of ofTasks(told, 'task_complete', 'task_error')) {
      expect([taskId, calls.get(`/${taskId}`)]).toEqual([taskId, then.get(`/${taskId}`)])
    }
  }

  // What may not be called twice is not, and failed where nobody knows what became of it.
  for (const [path, count] of calls) if (path.includes('post')) expect([path, count]).toEqual([path, 1])
  const failed = ofTasks(events, 'task_error')
  for (const { taskId, code } of failed) {
    expect([taskId, code]).toEqual([expect.stringContaining('post'), 'worker_lost'])
  }

  // Attempts count on, and each after the first is told to void the one before.
  const attempts = new Map<string, number>()
  const announced = new Map<string, number>()
  for (const { type, data } of events) {
    const { taskId, attempt }: TaskData = Object(data)
    if (type === 'task_retry') announced.set(taskId, attempt)
    if (type !== 'task_start') continue
    expect([taskId, attempt]).toEqual([taskId, (attempts.get(taskId) ?? 0) + 1])
    if (attempt > 1) expect([taskId, announced.get(taskId)]).toEqual([taskId, attempt])
    attempts.set(taskId, attempt)
  }
  // No call without its attempt having been told.
  for (const [path, count] of calls) expect(count).toBeLessThanOrEqual(attempts.get(path.slice(1)) ?? 0)
}

/** What was so when a worker ended. */
interface Death {
  /** The events that its reader had. */
  readonly told: readonly CollectedEvent[]
  /** The calls that had come. */
  readonly calls: ReadonlyMap<string, number>
}

async function killed(worker: KeptWorker, reader: EventCollector, api: CountingApi): Promise<Death> {
  await worker.kill()
  await reader.ended
  return { told: loggedBy(reader), calls: new Map(api.calls) }
}

const MOMENTS: [moment: string, wait: (reader: EventCollector, api: CountingApi) => Promise<unknown>][] = [
  ['as soon as the run was accepted', async () => undefined],
  ['at its first word', (reader) => reader.waitFor('task_start')],
  ['in the midst of results', (reader) => reader.waitForCount('task_complete', 3)],
  ['while a next attempt waits', (reader) => reader.waitFor('task_retry')],
  ['with calls under way', (_, api) => api.called('/held-get', 2)],
  ['with calls under way that may not be made again', (_, api) => api.called('/held-post', 2)],
]

describe('a worker that is killed in the midst of a run', () => {
  it.each(MOMENTS)('%s, goes on with it once it is back', async (_, wait) => {
    await using api = await startCountingApi()
    await using worker = await KeptWorker.start()
    const { runId } = await worker.start({ tasks: tasksOf(api), concurrency: CONCURRENCY })
    await using reader = await worker.read(runId)
    await wait(reader, api)
    const death = await killed(worker, reader, api)
    api.release('/held')
    await worker.comeBack()
    const events = await worker.readAll(runId)
    expectKept(events, api, [death])
    // Who comes back with what it had gets exactly the rest.
    const rest = await worker.readAll(runId, death.told.at(-1)?.id)
    expect(rest).toEqual(events.slice(death.told.length))
    expect((await worker.read(runId, events.at(-1)?.id)).status).toBe(204)
  })

  it('goes on also where it is killed again, and again', async () => {
    await using api = await startCountingApi()
    await using worker = await KeptWorker.start()
    const { runId } = await worker.start({ tasks: tasksOf(api), concurrency: CONCURRENCY })
    await using first = await worker.read(runId)
    await api.called('/held-post', 2)
    const deaths = [await killed(worker, first, api)]
    await worker.comeBack()
    await using second = await worker.read(runId)
    await second.waitForCount(({ type, data }) => type === 'task_start' && Object(data).attempt > 1, 4)
    deaths.push(await killed(worker, second, api))
    // As soon as it listens, before or while it takes its runs up.
    await worker.comeBack()
    await using third = await worker.read(runId)
    deaths.push(await killed(worker, third, api))
    api.release('/held')
    await worker.comeBack()
    const events = await worker.readAll(runId)
    expectKept(events, api, deaths)
    const attempts = ofTasks(events, 'task_complete').filter(({ taskId }) => taskId.startsWith('held-get'))
    expect(Math.max(...attempts.map(({ attempt }) => attempt))).toBeGreaterThan(2)
  })

  it('goes on with all of its runs, and keeps those that had ended', async () => {
    await using api = await startCountingApi()
    await using worker = await KeptWorker.start()
    const ended = await worker.start({ tasks: [{ url: `${api.url}/now` }] })
    const whole = await worker.readAll(ended.runId)
    const started = await Promise.all(
      Array.from({ length: 5 }, (_, n) =>
        worker.start({
          tasks: [
            { id: 'a', url: `${api.url}/now-${n}` },
            { id: 'b', url: `${api.url}/held-${n}` },
          ],
        }),
      ),
    )
    await api.called('/held', 5)
    for (const { runId } of started) {
      await using reader = await worker.read(runId)
      await reader.waitFor('task_complete')
    }
    await worker.kill()
    api.release('/held')
    await worker.comeBack()
    for (const { runId } of started) {
      const events = await worker.readAll(runId)
      expect(events.at(-1)?.data).toMatchObject({ status: 'succeeded', successCount: 2 })
    }
    expect(await worker.readAll(ended.runId)).toEqual(whole)
    for (let n = 0; n < 5; n++)
      expect([api.calls.get(`/now-${n}`), api.calls.get(`/held-${n}`)]).toEqual([1, 2])
  })
})

describe('a worker that is replaced in the midst of a run', () => {
  it('ends well, finishes what it can in time, and the next goes on with the rest', async () => {
    await using api = await startCountingApi()
    await using worker = await KeptWorker.start({ DRAIN_MS: '2000' })
    const { runId } = await worker.start({ tasks: tasksOf(api), concurrency: CONCURRENCY })
    await using reader = await worker.read(runId)
    await api.called('/held-post', 2)
    await reader.waitForCount('task_complete', 6)
    const stopped = worker.stop()
    // From when it takes no more.
    while ((await fetch(`${worker.url}/api/runs`)).status !== 503);
    api.release('/held-put')
    await reader.waitFor(({ type, data }) => type === 'task_complete' && Object(data).taskId === 'held-put-1')
    expect(await stopped).toBe(0)
    await reader.ended
    expect(reader.events.at(-1)).toMatchObject({ type: 'disconnected', data: { reason: 'drain' } })
    const death = { told: loggedBy(reader), calls: new Map(api.calls) }
    expect(ofTasks(death.told, 'task_error')).toEqual([])
    expect([...death.calls.keys()].filter((path) => path.startsWith('/now-post'))).toEqual([])
    api.release('/held')
    await worker.comeBack()
    const events = await worker.readAll(runId)
    expectKept(events, api, [death])
    const attemptOf = (id: string) =>
      ofTasks(events, 'task_complete').find(({ taskId }) => taskId === id)?.attempt
    expect(['held-put-0', 'held-get-0', 'held-post-2'].map(attemptOf)).toEqual([1, 2, 1])
    expect(ofTasks(events, 'task_error').map(({ taskId }) => taskId)).toEqual(['held-post-0', 'held-post-1'])
  })
})
