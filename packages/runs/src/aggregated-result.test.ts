import type { RunEvents, TaskFailure } from '@tributary/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { aggregate, type FinishedTask } from './aggregated-result.ts'

const MAX_EVENT_BYTES = 131_072
const resultOf = (body: unknown) => ({ status: 200, headers: {}, body, truncated: false })

function finishedTasks(count: number, body: unknown, idOf = (n: number) => `task-${n}`): FinishedTask[] {
  const json = JSON.stringify(resultOf(body))
  return Array.from({ length: count }, (_, n) => ({
    taskId: idOf(n),
    status: 200,
    json,
    eventId: `run_${'0'.repeat(32)}.1767225600000-${n + 1}`,
  }))
}

function failedTasks(count: number, error = 'Connection timeout'): TaskFailure[] {
  return Array.from({ length: count }, (_, n) => ({ taskId: `failed-${n}`, error, code: 'connect_timeout' }))
}

function aggregated(finished: FinishedTask[], failures: TaskFailure[], maxEventBytes = MAX_EVENT_BYTES) {
  const { json, errors } = aggregate(finished, failures, maxEventBytes)
  const data: RunEvents['aggregated_result'] = JSON.parse(json)
  expect(data.errors).toEqual(errors)
  expect(Buffer.byteLength(json)).toBeLessThanOrEqual(maxEventBytes)
  expect([data.successCount, data.errorCount]).toEqual([finished.length, failures.length])
  return data
}

describe('aggregate', () => {
  it('holds all where there is room for all', () => {
    const data = aggregated(finishedTasks(2, { price: 1 }), failedTasks(1))
    expect(data.results).toEqual({ 'task-0': resultOf({ price: 1 }), 'task-1': resultOf({ price: 1 }) })
    expect(data.errors).toEqual(failedTasks(1))
    expect(data).not.toHaveProperty('truncated')
  })

  it('replaces results of 60 KB by references where a thousand tasks brought one each', () => {
    const finished = finishedTasks(1_000, 'x'.repeat(60_000))
    const { results, truncated } = aggregated(finished, [])
    expect(Object.keys(results)).toHaveLength(1_000)
    expect(results['task-999']).toEqual({ status: 200, truncated: true, eventId: finished[999]?.eventId })
    expect(truncated).toBeUndefined()
  })

  it('holds the first results whole where references take less than the event', () => {
    const { results } = aggregated(finishedTasks(10, 'x'.repeat(60_000)), [])
    const isWhole = Object.values(results).map((result) => 'body' in result)
    expect(isWhole).toEqual([true, true, ...Array(8).fill(false)])
  })

  it('says so where there is not even room for references', () => {
    const idOf = (n: number) => `${n}${'"'.repeat(128)}`
    const data = aggregated(finishedTasks(1_000, 'x'.repeat(60_000), idOf), failedTasks(1_000))
    expect(data.truncated).toBe(true)
    expect(Object.keys(data.results).length).toBeGreaterThan(0)
    expect(data.errors.length).toBeGreaterThan(0)
  })

  it('leaves errors the room that results do not take', () => {
    expect(aggregated([], failedTasks(1_000)).errors).toHaveLength(1_000)
    const cut = aggregated([], failedTasks(1_000, 'x'.repeat(1_000)))
    expect(cut.truncated).toBe(true)
    expect(cut.errors.length).toBeGreaterThan(100)
  })

  it('takes ids that an object would stumble over', () => {
    const { results } = aggregated(
      finishedTasks(1, 1, () => '__proto__'),
      [],
    )
    expect(Object.entries(results)).toEqual([['__proto__', resultOf(1)]])
  })

  it('stays within the event whatever the tasks are', () => {
    const task = fc.record({
      taskId: fc.string({ unit: 'binary', minLength: 1, maxLength: 128 }),
      status: fc.constant(200),
      json: fc.option(
        fc.string({ maxLength: 3_000 }).map((body) => JSON.stringify(resultOf(body))),
        {
          nil: undefined,
        },
      ),
      eventId: fc.constantFrom('run_1.1-1', undefined),
    })
    const failure = fc.record({
      taskId: fc.string({ unit: 'binary', maxLength: 128 }),
      error: fc.string({ unit: 'binary', maxLength: 2_000 }),
      code: fc.constant('task_failed' as const),
    })
    fc.assert(
      fc.property(
        fc.uniqueArray(task, { selector: ({ taskId }) => taskId, maxLength: 60 }),
        fc.array(failure, { maxLength: 60 }),
        fc.integer({ min: 2_048, max: 20_000 }),
        (finished, failures, maxEventBytes) => {
          const { results, errors, truncated } = aggregated(finished, failures, maxEventBytes)
          const isWhole = Object.keys(results).length === finished.length && errors.length === failures.length
          expect(truncated).toBe(isWhole ? undefined : true)
        },
      ),
    )
  })
})
