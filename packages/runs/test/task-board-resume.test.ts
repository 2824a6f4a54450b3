import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { OwnedRun } from '../src/owned-run.ts'
import type { Run } from '../src/run.ts'
import { readRunPast } from '../src/run-past.ts'
import { TaskBoard } from '../src/task-board.ts'
import { anyRun, eventsOf, never, openRuns, settle } from './runs-under-test.ts'
import { DISKS } from './stores-under-test.ts'

const ok = (body: unknown = null) => ({ status: 200, headers: {}, body, truncated: false })
const TASKS = ['a', 'b', 'c', 'd'].map((id) => ({ id, name: `Task ${id}`, source: 'worker' }))

/** A run that one process works at with a board until it ends, and then another. */
async function resume(
  first: (board: TaskBoard, run: Run, clock: FakeClock) => unknown,
  second: (board: TaskBoard, run: Run, clock: FakeClock) => unknown,
  { maxEvents = 1_000, finish = true, maxEventBytes = 131_072 } = {},
) {
  const clock = new FakeClock()
  await using disk = await DISKS.memory(clock)
  const store = await disk.open()
  const before = await openRuns({ clock, store, maxEvents })
  const run = await before.runs.start(anyRun(4), never)
  const board = new TaskBoard(run, TASKS, { clock, maxEventBytes })
  await first(board, run, clock)
  await settle()
  await before.runs.close()
  const already = run.log.head.n
  clock.advance(60_000)
  await using again = await openRuns({ clock, store, maxEvents })
  const work = async (resumed: Run) => {
    const past = await readRunPast(resumed.log, { clock, end: resumed.suspended })
    const next = new TaskBoard(resumed, TASKS, { clock, maxEventBytes, past })
    await second(next, resumed, clock)
    return finish ? next.finish() : never(resumed)
  }
  await again.runs.recover(() => work)
  const found = await again.runs.find(run.id)
  await found.ended
  const events = await eventsOf(await found.openLog())
  return { all: events, rest: events.slice(-(run.log.head.n - already)), view: found.view(), already }
}

const typesAndTasks = (events: { type: string; data: unknown }[]) =>
  events.map(({ type, data }) => {
    const { taskId } = Object(data)
    return taskId === undefined ? type : `${type} ${taskId}`
  })

describe('TaskBoard of a run that is resumed', () => {
  it('goes on with each task from where it was', async () => {
    const { rest } = await resume(
      (board) => {
        board.start('a', 1)
        board.complete('a', ok({ price: 1 }))
        board.start('b', 1)
        board.progress('b', { progress: 40 })
        board.retry('b', 'http_5xx', 500)
        board.start('b', 2)
        board.start('c', 1)
      },
      (board) => {
        expect(board.attemptsOf('b')).toBe(2)
        expect(board.goOn('a', true)).toBeUndefined()
        expect(board.goOn('b', true)).toBe(3)
        expect(board.goOn('c', false)).toBeUndefined()
        expect(board.goOn('d', false)).toBe(1)
        expect(board.hasFailed('c')).toBe(true)
        board.start('b', 3)
        board.complete('b', ok())
        board.start('d', 1)
        board.complete('d', ok())
      },
    )
    expect(typesAndTasks(rest)).toEqual([
      'task_retry b',
      'task_error c',
      'progress',
      'task_start b',
      'task_complete b',
      'task_start d',
      'task_complete d',
      'progress',
      'aggregated_result',
      'complete',
    ])
    expect(rest[0]?.data).toEqual({ taskId: 'b', attempt: 3, reason: 'worker_lost', delayMs: 0 })
    expect(rest[1]?.data).toMatchObject({ code: 'worker_lost', attempt: 1 })
    // Since its first attempt, which another process made.
    expect(rest[4]?.data).toMatchObject({ attempt: 3, durationMs: 60_000 })
    expect(rest.at(-2)?.data).toMatchObject({
      results: { a: ok({ price: 1 }), b: ok(), d: ok() },
      errors: [{ taskId: 'c', code: 'worker_lost' }],
    })
    expect(rest.at(-1)?.data).toMatchObject({
      status: 'partial',
      successCount: 3,
      errorCount: 1,
      durationMs: 60_000,
    })
  })

  it('tries a task anew that waited for its next attempt', async () => {
    const { rest } = await resume(
      (board) => {
        board.start('a', 1)
        board.retry('a', 'http_5xx', 30_000)
      },
      (board) => {
        expect(board.goOn('a', true)).toBe(2)
      },
    )
    expect(rest[0]?.data).toMatchObject({ taskId: 'a', attempt: 2, delayMs: 0 })
  })

  it('appends only the end where nothing else was missing', async () => {
    const { rest, already } = await resume(
      async (board, run) => {
        for (const { id } of TASKS) board.complete(id, ok(id))
        await board.finish()
        expect(run.log.closed).toBe(false)
      },
      (board) => {
        expect(board.done).toBe(true)
      },
    )
    expect(already).toBeGreaterThan(4)
    expect(rest).toMatchObject([{ type: 'complete', data: { status: 'succeeded', successCount: 4 } }])
  })

  it('counts what an earlier process did where the work cannot go on', async () => {
    const { rest } = await resume(
      (board) => {
        board.complete('a', ok())
        board.fail('b', 'no', 'http_4xx')
      },
      () => {
        throw new Error('a mistake')
      },
    )
    expect(typesAndTasks(rest)).toEqual([
      'task_error c',
      'progress',
      'task_error d',
      'progress',
      'error',
      'complete',
    ])
    expect(rest.at(-1)?.data).toMatchObject({ totalTasks: 4, successCount: 1, errorCount: 3 })
  })

  it('refers to results for which there is no room, wherever they were made', async () => {
    const { rest } = await resume(
      (board) => {
        for (const id of ['a', 'b']) board.complete(id, ok('x'.repeat(3_000)))
      },
      (board) => {
        for (const id of ['c', 'd']) board.complete(id, ok('x'.repeat(3_000)))
      },
      { maxEventBytes: 8_192 },
    )
    const { results } = Object(rest.at(-2)?.data)
    expect(Object.keys(results)).toEqual(['a', 'b', 'c', 'd'])
    expect(results.d).toMatchObject({ truncated: true, eventId: expect.stringMatching(/^run_.*-\d+$/) })
    expect(JSON.stringify(rest.at(-2)?.data).length).toBeLessThan(8_192)
  })

  it('does not begin again what may have begun, where the log does not go back so far', async () => {
    const { rest } = await resume(
      async (board, run) => {
        board.start('a', 1)
        for (let n = 0; n < 30; n++) await run.emit('progress', { step: 0, totalSteps: 4, progress: 0 })
        board.start('b', 1)
      },
      (board) => {
        expect(board.goOn('a', false)).toBeUndefined()
        expect(board.goOn('b', true)).toBe(2)
        expect(board.goOn('c', true)).toBe(1)
      },
      { maxEvents: 20 },
    )
    expect(typesAndTasks(rest)).toContain('task_error a')
  })

  it('tells progress less often as its log fills, and what is final always', async () => {
    const { all } = await resume(
      async (board, _run, clock) => {
        board.start('a', 1)
        for (let n = 0; n < 2_000; n++) {
          clock.advance(100)
          board.progress('a', { progress: n % 100 })
        }
      },
      (board) => {
        for (const { id } of TASKS) board.complete(id, ok())
      },
      { maxEvents: 200 },
    )
    expect(all[0]).toMatchObject({ type: 'task_start' })
    expect(all.length).toBeLessThan(150)
    expect(all.filter(({ type }) => type === 'task_progress').length).toBeGreaterThan(50)
  })

  it('appends nothing once its run is suspended', async () => {
    const clock = new FakeClock()
    await using disk = await DISKS.memory(clock)
    const setting = await openRuns({ clock, store: await disk.open() })
    const run = await setting.runs.start(anyRun(4), never)
    if (!(run instanceof OwnedRun)) throw new Error('whoever starts a run owns it')
    const board = new TaskBoard(run, TASKS, { clock, maxEventBytes: 131_072 })
    board.start('a', 1)
    await settle()
    run.suspend()
    board.fail('a', 'cut', 'connection_reset')
    board.failRest('cancelled', 'cancelled')
    board.complete('b', ok())
    expect(board.goOn('c', true)).toBeUndefined()
    expect(run.view()).toMatchObject({ successCount: 0, errorCount: 0 })
    await expect(board.finish()).rejects.toMatchObject({ code: 'run_suspended' })
    expect(typesAndTasks(await eventsOf(run.log))).toEqual(['task_start a'])
    await setting.runs.close()
  })
})
