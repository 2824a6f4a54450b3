import { ProblemError } from '@tributary/protocol'
import Type from 'typebox'
import { describe, expect, it } from 'vitest'
import { anyRun, eventsOf, openRuns } from '../test/runs-under-test.ts'
import { defineTask, type TaskDefinition } from './handlers/define-task.ts'
import { TaskError } from './handlers/handler-error.ts'
import { HandlerRegistry } from './handlers/handler-registry.ts'
import { HandlerRunner } from './handlers/handler-runner.ts'
import { planNamedTask, runNamedTask } from './named-task.ts'
import { RunAbort } from './run-error.ts'
import { TaskBoard } from './task-board.ts'

const silent = { info: () => {}, warn: () => {}, error: () => {} }

function handlersOf(...tasks: TaskDefinition[]): HandlerRunner {
  return new HandlerRunner({
    registry: new HandlerRegistry(tasks.map((task) => ({ task }))),
    request: () => Promise.reject(new Error('no request is expected')),
  })
}

const echo = defineTask({ name: 'Echo', run: (_context, input) => input ?? null })
const hang = defineTask({ name: 'Hang', run: () => new Promise(() => undefined) })
const strict = defineTask({
  name: 'Strict',
  input: Type.Object({ n: Type.Integer() }, { additionalProperties: false }),
  idempotent: true,
  run: () => null,
})

const place = { id: 'a', path: 'body/tasks/0' }
const planOf = (handlers: HandlerRunner, task: { name: string; input?: unknown; timeoutMs?: number }) =>
  planNamedTask(task, place, { handlers, defaultTimeoutMs: 1_000 })

/** Runs one task in a run of its own. `act` is called once it is under way. */
async function runOne(
  task: TaskDefinition,
  {
    act,
    aborted,
  }: {
    act?: (setting: Awaited<ReturnType<typeof openRuns>>, stop: AbortController) => void
    aborted?: unknown
  } = {},
) {
  const setting = await openRuns()
  const handlers = handlersOf(task)
  const stop = new AbortController()
  if (aborted !== undefined) stop.abort(aborted)
  const run = await setting.runs.start(anyRun(1), async (begun) => {
    const { clock } = setting
    const plan = planOf(handlers, { name: task.name, timeoutMs: 500 })
    const board = new TaskBoard(begun, [{ id: 'a', name: task.name, source: 'worker' }], {
      clock,
      maxEventBytes: 131_072,
    })
    const running = runNamedTask(plan, { board, handlers, clock, log: silent, signal: stop.signal })
    act?.(setting, stop)
    await running
    return board.finish()
  })
  await run.ended
  const events = await eventsOf(run.log)
  // The sweep of the registry and the store's own; the task's timeout is gone.
  expect(setting.clock.timerCount).toBe(2)
  return {
    types: events.map(({ type }) => type),
    final: events.find(({ type }) => type === 'task_complete' || type === 'task_error')?.data,
  }
}

describe('planNamedTask', () => {
  it('decides what the request left open', () => {
    expect(planOf(handlersOf(strict), { name: 'Strict', input: { n: 1 } })).toEqual({
      kind: 'named',
      id: 'a',
      name: 'Strict',
      origin: 'handler:Strict',
      input: { n: 1 },
      timeoutMs: 1_000,
      retries: 0,
      idempotent: true,
    })
  })

  it('names the task, the field and the handlers there are where none is called so', () => {
    const planning = () => planOf(handlersOf(echo, strict), { name: 'Ecko' })
    expect(planning).toThrow(ProblemError)
    expect(planning).toThrow(
      expect.objectContaining({
        code: 'unknown_handler',
        statusCode: 422,
        message: 'Task "a": no handler is called "Ecko"; there are "Echo", "Strict"',
        errors: [{ path: 'body/tasks/0/name', message: expect.stringContaining('"Echo", "Strict"') }],
      }),
    )
    expect(() => planOf(handlersOf(), { name: 'Echo' })).toThrow(/there are none/)
  })

  it('names the task and the field where its input is not valid', () => {
    expect(() => planOf(handlersOf(strict), { name: 'Strict', input: { n: 'one' } })).toThrow(
      expect.objectContaining({
        code: 'invalid_task',
        message: expect.stringContaining('Task "a": '),
        errors: [{ path: 'body/tasks/0/input', message: expect.stringContaining('n') }],
      }),
    )
  })

  it.each([0, -1, 600_001])('refuses a timeout of %d ms', (timeoutMs) => {
    expect(() => planOf(handlersOf(echo), { name: 'Echo', timeoutMs })).toThrow(
      expect.objectContaining({
        code: 'invalid_task',
        errors: [expect.objectContaining({ path: 'body/tasks/0/timeoutMs' })],
      }),
    )
  })
})

describe('runNamedTask', () => {
  it('notes the result', async () => {
    const { types, final } = await runOne(defineTask({ name: 'Two', run: () => 2 }))
    expect(types).toEqual(['task_start', 'task_complete', 'progress', 'aggregated_result', 'complete'])
    expect(final).toMatchObject({
      attempt: 1,
      result: { status: 200, headers: {}, body: 2, truncated: false },
    })
  })

  it('ends a handler that takes too long, also one that does not listen', async () => {
    const { final } = await runOne(hang, { act: ({ clock }) => clock.advance(500) })
    expect(final).toMatchObject({ code: 'task_timeout', error: 'The task did not end within 500 ms' })
  })

  it.each([
    ['as cancelled', RunAbort.cancelled('enough'), 'cancelled', 'enough'],
    [
      'for its deadline',
      RunAbort.deadlineExceeded(5),
      'deadline_exceeded',
      'The run did not end within 5 ms',
    ],
    ['without a code', undefined, 'cancelled', 'This operation was aborted'],
  ])('ends a task that is aborted %s with that code', async (_how, reason, code, error) => {
    const { final } = await runOne(hang, { act: (_setting, stop) => stop.abort(reason) })
    expect(final).toMatchObject({ code, error })
  })

  it('does not start what was aborted before', async () => {
    const { types, final } = await runOne(echo, { aborted: RunAbort.cancelled() })
    expect(types).not.toContain('task_start')
    expect(final).toMatchObject({ code: 'cancelled', attempt: 0 })
  })

  it.each([
    ['an error of its own', new Error('odd'), 'task_failed', 'odd'],
    ['a task’s error', new TaskError('no room', { code: 'body_too_large' }), 'body_too_large', 'no room'],
    [
      'an error with a code that is none of a task',
      Object.assign(new Error('x'), { code: 20 }),
      'task_failed',
      'x',
    ],
    ['no error at all', 'text', 'task_failed', 'text'],
    ['what has no text', Object.create(null), 'task_failed', 'Something was thrown that is no error'],
    [
      'an error that cannot be read',
      new Proxy(new Error('x'), {
        get() {
          throw new Error('no')
        },
      }),
      'task_failed',
      'Something was thrown that is no error',
    ],
  ])('fails where the handler throws %s', async (_what, thrown, code, error) => {
    const task = defineTask({
      name: 'Throws',
      run() {
        throw thrown
      },
    })
    expect((await runOne(task)).final).toMatchObject({ code, error })
  })

  it('tells how far the handler is', async () => {
    const task = defineTask({
      name: 'Steps',
      run: ({ progress }) => void progress({ step: 1, totalSteps: 4, message: 'on the way' }),
    })
    expect((await runOne(task)).types).toContain('task_progress')
  })
})
