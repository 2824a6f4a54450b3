import type { CollectedEvent } from '@tributary/testkit'
import { expect } from 'vitest'
import type { CountingApi } from './counting-api.ts'

/** So many tasks at a time that those which are held leave others waiting for their turn. */
export const CONCURRENCY = 8

/** Twenty tasks: answered at once, to be tried again, held, and such as may not be called twice. */
export function tasksOf({ url }: CountingApi) {
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

export const ofTasks = (events: readonly CollectedEvent[], ...types: string[]): TaskData[] =>
  events.filter(({ type }) => types.includes(type)).map(({ data }) => Object(data))

/** What was promised of a run whose worker died once or more, as its log and the called API tell. */
export function expectKept(
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
export interface Death {
  /** The events that its reader had. */
  readonly told: readonly CollectedEvent[]
  /** The calls that had come. */
  readonly calls: ReadonlyMap<string, number>
}
