import type { EventCollector } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { type CountingApi, startCountingApi } from './counting-api.ts'
import { CONCURRENCY, type Death, expectKept, ofTasks, tasksOf } from './kept-run.ts'
import { KeptWorker, loggedBy } from './kept-worker.ts'

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
