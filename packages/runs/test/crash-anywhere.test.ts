import type { EventLog, EventStore } from '@tributary/eventlog'
import type { RunEvents } from '@tributary/protocol'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import type { RunWork } from '../src/execute-run.ts'
import { readRunPast } from '../src/run-past.ts'
import { TaskBoard } from '../src/task-board.ts'
import { anyRun, eventsOf, openRuns, settle } from './runs-under-test.ts'
import { DISKS } from './stores-under-test.ts'

const TASKS = [
  { id: 'get', idempotent: true },
  { id: 'post', idempotent: false },
  { id: 'flaky', idempotent: true },
  { id: 'bad', idempotent: false },
]

/** Calls the tasks as an executor does, and notes each call as it is made. */
function workOf(clock: FakeClock, calls: string[]): RunWork {
  return async (run) => {
    const past = run.resumed ? await readRunPast(run.log, { clock, end: run.suspended }) : undefined
    const boardTasks = TASKS.map(({ id }) => ({ id, name: id, source: 'worker' }))
    const board = new TaskBoard(run, boardTasks, { clock, maxEventBytes: 131_072, past })
    await Promise.all(
      TASKS.map(async ({ id, idempotent }) => {
        let attempt = board.goOn(id, idempotent)
        for (; attempt !== undefined && !board.isFinal(id); attempt++) {
          const started = board.start(id, attempt)
          if (!idempotent) await started
          calls.push(id)
          await settle()
          if (id === 'bad') board.fail(id, 'no', 'http_4xx')
          else if (id === 'flaky' && attempt === 1) board.retry(id, 'http_5xx', 0)
          else board.complete(id, { status: 200, headers: {}, body: attempt, truncated: false })
        }
      }),
    )
    return board.finish()
  }
}

/** A store whose process dies after so many appends: nothing is answered from then on. */
function dyingAfter(appends: number, store: EventStore): EventStore {
  let left = appends
  const dead = new Promise<never>(() => undefined)
  const open: EventStore['open'] = async (name, options) => {
    const log = await store.open(name, options)
    const { append, close } = log
    const dying: Partial<EventLog> = {
      append: (...given) => (left-- > 0 ? append.apply(log, given) : dead),
      close: (...given) => (left-- > 0 ? close.apply(log, given) : dead),
    }
    return new Proxy(log, {
      get(target, name) {
        const value: unknown = Reflect.get(dying, name) ?? Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }
  return { ...store, open }
}

/** Runs the tasks in one process after the other, each of which dies after so many appends; the last does not. */
async function runThrough(deaths: readonly number[]) {
  const clock = new FakeClock()
  await using disk = await DISKS.memory(clock)
  const store = await disk.open()
  const calls: string[][] = []
  const done: string[][] = []
  let runId = ''
  for (const appends of [...deaths, Number.POSITIVE_INFINITY]) {
    const { runs } = await openRuns({ clock, store: dyingAfter(appends, store) })
    const known = await runs.get(runId)
    done.push(known === undefined ? [] : completedOf(await eventsOf(await known.openLog())))
    const called: string[] = []
    calls.push(called)
    const work = workOf(clock, called)
    if (runId === '') runId = (await runs.start(anyRun(4), work)).id
    else await runs.recover(() => work)
    for (let turn = 0; turn < 20; turn++) await settle()
  }
  const { runs } = await openRuns({ clock, store })
  const run = await runs.find(runId)
  return { calls, done, status: run.status, events: await eventsOf(await run.openLog()) }
}

const completedOf = (events: { type: string; data: unknown }[]): string[] =>
  events.flatMap(({ type, data }) => (type === 'task_complete' ? [Object(data).taskId] : []))

function check({ calls, done, status, events }: Awaited<ReturnType<typeof runThrough>>): void {
  const types = events.map(({ type }) => type)
  expect(types.filter((type) => type === 'complete')).toHaveLength(1)
  expect(types.filter((type) => type === 'aggregated_result')).toHaveLength(1)
  expect(types.slice(-2)).toEqual(['aggregated_result', 'complete'])
  const finals = events.filter(({ type }) => type === 'task_complete' || type === 'task_error')
  expect(finals.map(({ data }) => Object(data).taskId).toSorted()).toEqual(['bad', 'flaky', 'get', 'post'])
  const all = calls.flat()
  for (const id of ['post', 'bad']) expect(all.filter((called) => called === id).length).toBeLessThan(2)
  for (const [process, called] of calls.entries()) {
    for (const id of done[process] ?? []) expect(called).not.toContain(id)
  }
  const lost = finals.filter(({ data }) => Object(data).code === 'worker_lost')
  for (const { data } of lost) expect(['post', 'bad']).toContain(Object(data).taskId)
  const complete = events.at(-1)?.data as RunEvents['complete']
  expect(complete.successCount + complete.errorCount).toBe(4)
  expect(status).toBe('partial')
  const attempts = new Map<string, number>()
  for (const { type, data } of events) {
    if (type !== 'task_start') continue
    const { taskId, attempt } = data as RunEvents['task_start']
    expect(attempt).toBe((attempts.get(taskId) ?? 0) + 1)
    attempts.set(taskId, attempt)
  }
}

describe('a run whose process dies', () => {
  it('comes to the same end wherever that is', async () => {
    const whole = await runThrough([])
    check(whole)
    for (let appends = 0; appends <= whole.events.length + 1; appends++) check(await runThrough([appends]))
  })

  it('comes to the same end also where the next one dies as well', async () => {
    for (let first = 0; first <= 16; first += 3) {
      for (let second = 0; second <= 16; second += 2) check(await runThrough([first, second]))
    }
  })
})
