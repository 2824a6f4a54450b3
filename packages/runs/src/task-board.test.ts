import type { RunEvents } from '@tributary/protocol'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anyRun, eventsOf, openRuns, settle, typesOf } from '../test/runs-under-test.ts'
import type { Run } from './run.ts'
import { TaskBoard, type TaskBoardOptions } from './task-board.ts'

const MAX_EVENT_BYTES = 131_072
const ok = (body: unknown = null) => ({ status: 200, headers: {}, body, truncated: false })

/** A board of tasks `t0`, `t1`, …, in a run that ends as the test says. */
async function openBoard(
  count: number,
  options: Partial<TaskBoardOptions> & { idOf?: (n: number) => string } = {},
) {
  const { idOf = (n: number) => `t${n}`, ...boardOptions } = options
  const setting = await openRuns()
  const begun = Promise.withResolvers<{ run: Run; board: TaskBoard }>()
  const done = Promise.withResolvers<void>()
  await setting.runs.start(anyRun(count), async (run) => {
    const tasks = Array.from({ length: count }, (_, n) => ({
      id: idOf(n),
      name: `Task ${n}`,
      source: 'worker',
    }))
    const board = new TaskBoard(run, tasks, {
      clock: setting.clock,
      maxEventBytes: MAX_EVENT_BYTES,
      ...boardOptions,
    })
    begun.resolve({ run, board })
    await done.promise
    return board.finish()
  })
  const { run, board } = await begun.promise
  return {
    ...setting,
    setting,
    run,
    board,
    /** Ends the work, and answers all events. */
    async end() {
      done.resolve()
      await run.ended
      return eventsOf(run.log)
    },
    fail: done.reject,
  }
}

const ofType = <T extends keyof RunEvents>(events: { type: string; data: unknown }[], type: T) =>
  events.filter((event) => event.type === type).map(({ data }) => data as RunEvents[T])

describe('TaskBoard', () => {
  it('tells a task from its start to its end', async () => {
    const { board, clock, end } = await openBoard(2)
    board.start('t0', 1)
    clock.advance(200)
    board.progress('t0', { progress: 50, bytes: 10 })
    board.retry('t0', 'http_5xx', 500)
    board.start('t0', 2)
    clock.advance(300)
    board.complete('t0', ok({ price: 1 }))
    board.start('t1', 1)
    board.fail('t1', 'Connection timeout', 'connect_timeout')
    expect(board.done).toBe(true)
    expect(board.hasFailed('t1')).toBe(true)
    expect(await end()).toEqual([
      { type: 'task_start', data: { taskId: 't0', taskName: 'Task 0', attempt: 1, source: 'worker' } },
      { type: 'task_progress', data: { taskId: 't0', progress: 50, bytes: 10 } },
      { type: 'task_retry', data: { taskId: 't0', attempt: 2, reason: 'http_5xx', delayMs: 500 } },
      { type: 'task_start', data: { taskId: 't0', taskName: 'Task 0', attempt: 2, source: 'worker' } },
      {
        type: 'task_complete',
        data: { taskId: 't0', taskName: 'Task 0', durationMs: 500, attempt: 2, result: ok({ price: 1 }) },
      },
      { type: 'progress', data: { step: 1, totalSteps: 2, progress: 50 } },
      { type: 'task_start', data: { taskId: 't1', taskName: 'Task 1', attempt: 1, source: 'worker' } },
      {
        type: 'task_error',
        data: {
          taskId: 't1',
          taskName: 'Task 1',
          error: 'Connection timeout',
          code: 'connect_timeout',
          category: 'timeout',
          recovery: 'retry',
          attempt: 1,
        },
      },
      { type: 'progress', data: { step: 2, totalSteps: 2, progress: 100 } },
      {
        type: 'aggregated_result',
        data: {
          results: { t0: ok({ price: 1 }) },
          errors: [{ taskId: 't1', error: 'Connection timeout', code: 'connect_timeout' }],
          successCount: 1,
          errorCount: 1,
        },
      },
      {
        type: 'complete',
        data: expect.objectContaining({ status: 'partial', successCount: 1, errorCount: 1 }),
      },
    ])
  })

  it('gives each task exactly one final event, whatever is reported of it, in whatever order', async () => {
    const report = fc.record({
      task: fc.nat({ max: 4 }),
      act: fc.constantFrom('start', 'progress', 'retry', 'complete', 'fail', 'bad', 'failRest', 'finish'),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(report, { maxLength: 30 }), async (reports) => {
        const { board, end } = await openBoard(4)
        for (const { task, act } of reports) {
          const id = `t${task}`
          if (act === 'start') board.start(id, 1)
          else if (act === 'progress') board.progress(id, { progress: 100 })
          else if (act === 'retry') board.retry(id, 'http_5xx', 1)
          else if (act === 'complete') board.complete(id, ok())
          else if (act === 'bad') board.complete(id, ok(1n))
          else if (act === 'fail') board.fail(id, 'no', 'task_failed')
          else if (act === 'failRest') board.failRestOf('gateway', 'no', 'worker_lost')
          else void board.finish()
        }
        const events = await end()
        const finals = [...ofType(events, 'task_complete'), ...ofType(events, 'task_error')]
        expect(finals.map(({ taskId }) => taskId).sort()).toEqual(['t0', 't1', 't2', 't3'])
        for (const { taskId } of finals) {
          const of = events.filter(({ data }) => (data as { taskId?: string }).taskId === taskId)
          expect(['task_complete', 'task_error']).toContain(of.at(-1)?.type)
        }
        const [complete] = ofType(events, 'complete')
        expect(complete?.successCount).toBe(ofType(events, 'task_complete').length)
        expect(complete?.errorCount).toBe(ofType(events, 'task_error').length)
        expect(ofType(events, 'aggregated_result')).toHaveLength(1)
      }),
      { numRuns: 50 },
    )
  })

  it('ignores reports of tasks that it does not know', async () => {
    const { board, end } = await openBoard(0)
    board.start('x', 1)
    board.complete('x', ok())
    board.fail('x', 'no', 'task_failed')
    expect(board.isFinal('x')).toBe(true)
    expect(board.hasFailed('x')).toBe(false)
    expect((await end()).map(({ type }) => type)).toEqual(['aggregated_result', 'complete'])
  })

  it('tells progress at most ten times a second, and the first 100 always', async () => {
    const { board, clock, end } = await openBoard(2)
    board.start('t0', 1)
    for (let ms = 0; ms < 1_000; ms++) {
      board.progress('t0', { progress: ms / 20 })
      board.progress('t1', { progress: 1 })
      clock.advance(1)
    }
    for (let n = 0; n < 50; n++) board.progress('t0', { progress: 100 })
    const events = await end()
    const progress = (id: string) => ofType(events, 'task_progress').filter(({ taskId }) => taskId === id)
    expect(progress('t1')).toHaveLength(10)
    expect(progress('t0')).toHaveLength(11)
    expect(progress('t0').at(-1)).toMatchObject({ progress: 100 })
  })

  it('tells progress again when the clock is set back', async () => {
    const { board, clock, end } = await openBoard(1)
    board.progress('t0', { progress: 1 })
    clock.jumpTo(0)
    board.progress('t0', { progress: 2 })
    expect(ofType(await end(), 'task_progress')).toHaveLength(2)
  })

  it('keeps progress between 0 and 100', async () => {
    const { board, clock, end } = await openBoard(1)
    for (const progress of [-5, Number.NaN, 250]) {
      board.progress('t0', { progress })
      clock.advance(100)
    }
    expect(ofType(await end(), 'task_progress').map(({ progress }) => progress)).toEqual([0, 0, 100])
  })

  it('says who runs a task in each of its events where it is told to', async () => {
    const { board, end } = await openBoard(2, { tagSource: true })
    board.progress('t0', { progress: 1 })
    board.retry('t0', 'http_5xx', 1)
    board.complete('t0', ok())
    board.fail('t1', 'no', 'task_failed')
    for (const { type, data } of await end()) {
      if (type.startsWith('task_')) expect(data).toMatchObject({ source: 'worker' })
    }
  })

  it('counts no time for a task that never started', async () => {
    const { board, end } = await openBoard(1)
    board.complete('t0', ok())
    expect(ofType(await end(), 'task_complete')).toMatchObject([{ durationMs: 0, attempt: 0 }])
  })

  it('fails a task whose result is not JSON', async () => {
    const { board, end } = await openBoard(1)
    board.complete('t0', ok(1n))
    expect(ofType(await end(), 'task_error')).toMatchObject([
      { code: 'task_failed', error: expect.stringContaining('cannot be written as JSON') },
    ])
  })

  it('keeps every event within its bound: a thousand results of 60 KB, and what is cut can be told', async () => {
    const { board, end } = await openBoard(1_000)
    for (let n = 0; n < 1_000; n++) board.complete(`t${n}`, ok('x'.repeat(60_000)))
    const events = await end()
    for (const { data } of events) {
      expect(Buffer.byteLength(JSON.stringify(data))).toBeLessThanOrEqual(MAX_EVENT_BYTES)
    }
    const [aggregated] = ofType(events, 'aggregated_result')
    const references = Object.values(aggregated?.results ?? {})
    expect(references).toHaveLength(1_000)
    expect(references.every(({ truncated }) => truncated)).toBe(true)
    expect(aggregated?.successCount).toBe(1_000)
  })

  it('keeps every event within its bound where ids, messages and results are as long as can be', async () => {
    const maxEventBytes = 16_384
    const idOf = (n: number) => `${n}${'"'.repeat(124)}`
    const { board, end } = await openBoard(300, { maxEventBytes, idOf })
    for (let n = 0; n < 300; n++) {
      const id = idOf(n)
      board.start(id, 1)
      board.progress(id, { progress: 1, message: '\u0001'.repeat(10_000) })
      if (n % 2 === 0) board.complete(id, ok('🦊'.repeat(10_000)))
      else board.fail(id, '\u0001'.repeat(100_000), 'task_failed')
    }
    const events = await end()
    for (const { data } of events) {
      expect(Buffer.byteLength(JSON.stringify(data))).toBeLessThanOrEqual(maxEventBytes)
    }
    expect(ofType(events, 'task_error')[0]?.error).toMatch(/…$/)
    expect(ofType(events, 'task_complete')[0]?.result).toMatchObject({ truncated: true })
    expect(ofType(events, 'aggregated_result')).toMatchObject([
      { truncated: true, successCount: 150, errorCount: 150 },
    ])
    expect(ofType(events, 'complete')).toMatchObject([
      { truncated: true, successCount: 150, errorCount: 150, totalTasks: 300 },
    ])
  })

  it('names where each result stands', async () => {
    const { board, run, end } = await openBoard(3, { maxEventBytes: 4_096 })
    for (let n = 0; n < 3; n++) board.complete(`t${n}`, ok('x'.repeat(2_000)))
    const [aggregated] = ofType(await end(), 'aggregated_result')
    const last = aggregated?.results['t2']
    if (last === undefined || !('eventId' in last)) throw new Error('the last result is a reference')
    const { entries } = await run.log.read(0)
    const named = entries.find(({ event }) => event.id === last.eventId)
    expect(named?.event.data).toMatchObject({ taskId: 't2', result: { body: 'x'.repeat(2_000) } })
  })

  it('gives the rest a final state when the run is cancelled, and ignores what comes of them later', async () => {
    const { board, run, runs, end } = await openBoard(3)
    board.complete('t0', ok())
    await runs.cancel(run, 'enough')
    const events = await end()
    board.complete('t1', ok())
    board.fail('t2', 'late', 'task_failed')
    await settle()
    expect(ofType(events, 'task_error')).toMatchObject([
      { taskId: 't1', code: 'cancelled', error: 'enough' },
      { taskId: 't2', code: 'cancelled', error: 'enough' },
    ])
    expect(ofType(events, 'complete')).toMatchObject([
      { status: 'cancelled', successCount: 1, errorCount: 2 },
    ])
    expect(await typesOf(run.log)).toHaveLength(events.length)
  })

  it('gives the rest a final state when the work throws', async () => {
    const { board, run, fail } = await openBoard(2)
    board.complete('t0', ok())
    fail(new Error('a mistake'))
    await run.ended
    const events = await eventsOf(run.log)
    expect(ofType(events, 'task_error')).toMatchObject([{ taskId: 't1', code: 'task_failed' }])
    expect(events.slice(-2)).toMatchObject([
      { type: 'error', data: { code: 'internal_error' } },
      { type: 'complete', data: { status: 'failed', successCount: 1, errorCount: 1 } },
    ])
  })

  it('gives the rest a final state when the work does not stop', async () => {
    const { board, run, runs, clock } = await openBoard(2)
    board.complete('t0', ok())
    await runs.cancel(run)
    clock.advance(5_000)
    await run.ended
    const events = await eventsOf(run.log)
    expect(ofType(events, 'task_error')).toMatchObject([{ taskId: 't1', code: 'cancelled' }])
    expect(ofType(events, 'complete')).toMatchObject([
      { status: 'cancelled', successCount: 1, errorCount: 1 },
    ])
  })

  it('fails the run where an event cannot be appended', async () => {
    const { board, run, errors, end } = await openBoard(1)
    const append = run.log.append.bind(run.log)
    run.log.append = () => Promise.reject(new Error('disk'))
    board.start('t0', 1)
    await settle()
    run.log.append = append
    board.complete('t0', ok())
    const events = await end()
    expect(events.slice(-2)).toMatchObject([
      { type: 'error', data: { code: 'internal_error' } },
      { type: 'complete', data: { status: 'failed', successCount: 1, errorCount: 0 } },
    ])
    expect(errors).toMatchObject([{ message: 'disk' }])
  })
})
