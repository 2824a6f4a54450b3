import { type EventStore, StoreUnavailableError } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { ProblemError } from '@tributary/protocol'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it, vi } from 'vitest'
import {
  anyRun,
  eventsOf,
  heldWork,
  never,
  openRuns,
  settle,
  storeWith,
  typesOf,
} from '../test/runs-under-test.ts'
import type { Run } from './run.ts'
import type { RunOutcome } from './run-end.ts'
import { RunAbort } from './run-error.ts'
import type { RunRegistry } from './run-registry.ts'

const outcome = (successCount: number, errorCount: number): RunOutcome => ({
  totalTasks: successCount + errorCount,
  successCount,
  errorCount,
  errors: Array.from({ length: errorCount }, (_, n) => ({
    taskId: `t${n}`,
    error: 'no',
    code: 'task_failed' as const,
  })),
})

async function completeOf(run: Run): Promise<unknown> {
  const completes = (await eventsOf(run.log)).filter(({ type }) => type === 'complete')
  expect(completes).toHaveLength(1)
  return completes[0]?.data
}

describe('RunRegistry, whose runs', () => {
  it('tells of those of one user alone, page by page, also of the ended ones', async () => {
    await using setting = await openRuns()
    const held = heldWork()
    for (let n = 0; n < 4; n++) {
      for (const userId of ['ann', 'bob']) await setting.runs.start({ ...anyRun(), userId }, held.work)
      setting.clock.advance(1)
    }
    held.end(outcome(0, 0))
    const first = await setting.runs.list({ limit: 3 }, 'ann')
    expect(first.runs.map(({ userId }) => userId)).toEqual(['ann', 'ann', 'ann'])
    const { runs, next } = await setting.runs.list(
      { limit: 3, ...(first.next && { after: first.next }) },
      'ann',
    )
    expect([runs.map(({ userId }) => userId), next]).toEqual([['ann'], undefined])
    expect((await setting.runs.list()).runs).toHaveLength(8)
  })
})

describe('RunRegistry, a run’s life', () => {
  it('begins accepted work at once, and ends it with what it came to', async () => {
    await using setting = await openRuns()
    const held = heldWork()
    const run = await setting.runs.start(anyRun(2), held.work)
    expect(run.view()).toEqual({
      runId: run.id,
      kind: 'parallel-tasks',
      userId: 'ann',
      status: 'running',
      startedAt: setting.clock.now(),
      totalTasks: 2,
      successCount: 0,
      errorCount: 0,
    })
    setting.clock.advance(1_500)
    held.end(outcome(2, 0))
    await run.ended
    expect(await completeOf(run)).toEqual({
      runId: run.id,
      status: 'succeeded',
      totalTasks: 2,
      successCount: 2,
      errorCount: 0,
      errors: [],
      durationMs: 1_500,
    })
    expect(run.view()).toMatchObject({ status: 'succeeded', endedAt: setting.clock.now(), successCount: 2 })
    expect(run.log.closed).toBe(true)
    expect(run.view().lastEventId).toMatch(new RegExp(`^${run.id}\\.\\d+-1$`))
  })

  it.each([
    [2, 0, 'succeeded'],
    [0, 0, 'succeeded'],
    [1, 1, 'partial'],
    [0, 2, 'failed'],
  ])('ends %d successes and %d errors as %s', async (successes, errors, status) => {
    await using setting = await openRuns()
    const run = await setting.runs.start(anyRun(), async () => outcome(successes, errors))
    await run.ended
    expect(run.status).toBe(status)
  })

  it('says where errors were left out', async () => {
    await using setting = await openRuns()
    const run = await setting.runs.start(anyRun(), async () => ({ ...outcome(0, 3), errors: [] }))
    await run.ended
    expect(await completeOf(run)).toMatchObject({ errorCount: 3, errors: [], truncated: true })
  })

  it.each([
    [
      'at once',
      () => {
        throw new Error('secret')
      },
    ],
    [
      'later',
      async () => {
        await settle()
        throw new Error('secret')
      },
    ],
  ])(
    'ends a run whose work throws %s as failed, and tells readers no more than that',
    async (_when, work) => {
      await using setting = await openRuns()
      const run = await setting.runs.start(anyRun(3), work)
      await run.ended
      expect(await typesOf(run.log)).toEqual(['error', 'complete'])
      expect(await completeOf(run)).toMatchObject({ status: 'failed', errorCount: 3, successCount: 0 })
      expect(JSON.stringify(await eventsOf(run.log))).not.toContain('secret')
      expect(setting.errors).toMatchObject([{ message: 'secret' }])
    },
  )

  it('counts what had succeeded before the work threw', async () => {
    await using setting = await openRuns()
    const run = await setting.runs.start(anyRun(3), async (begun) => {
      begun.count({ successCount: 2, errorCount: 0 })
      throw new ProblemError('upstream_unavailable', 'No worker is there')
    })
    await run.ended
    expect(await eventsOf(run.log)).toMatchObject([
      { type: 'error', data: { code: 'upstream_unavailable', category: 'connection', recovery: 'retry' } },
      { type: 'complete', data: { status: 'failed', successCount: 2, errorCount: 1, totalTasks: 3 } },
    ])
  })

  it('refuses what work appends after the end', async () => {
    await using setting = await openRuns()
    const run = await setting.runs.start(anyRun(), async () => outcome(1, 0))
    await run.ended
    await expect(run.emit('progress', { step: 1, totalSteps: 1, progress: 100 })).rejects.toMatchObject({
      code: 'log_closed',
    })
    run.count({ successCount: 7, errorCount: 7 })
    expect(run.view()).toMatchObject({ successCount: 1, errorCount: 0 })
  })
})

describe('RunRegistry, cancelling', () => {
  it('tells the work at once, as often as asked, and ends it once', async () => {
    await using setting = await openRuns()
    const held = heldWork()
    const run = await setting.runs.start(anyRun(2), held.work)
    expect(await setting.runs.cancel(run, 'enough')).toBe(true)
    expect(run.signal.aborted).toBe(true)
    expect(run.signal.reason).toMatchObject({ code: 'cancelled', message: 'enough' })
    expect(await setting.runs.cancel(run, 'again')).toBe(true)
    await run.ended
    expect(await setting.runs.cancel(run)).toBe(false)
    expect(await typesOf(run.log)).toEqual(['complete'])
    expect(await completeOf(run)).toMatchObject({ status: 'cancelled', errorCount: 2 })
    expect(setting.errors).toEqual([])
  })

  it('ends as cancelled where the cancel came before the end, whatever the work answers', async () => {
    await using setting = await openRuns()
    const run = await setting.runs.start(anyRun(1), async (begun) => {
      await settle()
      expect(await setting.runs.cancel(begun)).toBe(true)
      return outcome(1, 0)
    })
    await run.ended
    expect(await completeOf(run)).toMatchObject({ status: 'cancelled', successCount: 1 })
  })

  it('comes too late once the terminal event is on its way', async () => {
    const clock = new FakeClock()
    const closing = Promise.withResolvers<void>()
    const store = storeWith(new MemoryEventStore({ clock }), (log) => {
      const close = log.close.bind(log)
      log.close = async (terminal) => {
        await closing.promise
        return close(terminal)
      }
    })
    await using setting = await openRuns({ clock, store })
    const run = await setting.runs.start(anyRun(1), async () => outcome(1, 0))
    await settle()
    expect(await setting.runs.cancel(run)).toBe(false)
    closing.resolve()
    await run.ended
    expect(await completeOf(run)).toMatchObject({ status: 'succeeded' })
  })

  it('ends a run whose work does not stop, and ignores it from then on', async () => {
    await using setting = await openRuns({ abortGraceMs: 2_000 })
    const late = Promise.withResolvers<RunOutcome>()
    const run = await setting.runs.start(anyRun(2), () => late.promise)
    await setting.runs.cancel(run)
    await settle()
    expect(run.endedAt).toBeUndefined()
    setting.clock.advance(2_000)
    await run.ended
    expect(await completeOf(run)).toMatchObject({ status: 'cancelled', errorCount: 2 })
    expect(setting.errors).toMatchObject([{ message: 'The work of a run did not stop within 2000 ms' }])
    late.resolve(outcome(2, 0))
    await settle()
    expect(run.view()).toMatchObject({ status: 'cancelled', errorCount: 2 })
  })

  it('waits for what the work of a cancelled run has to say while the store is away', async () => {
    const clock = new FakeClock()
    let isAway = false
    const store = storeWith(new MemoryEventStore({ clock }), (log) => {
      const append = log.append.bind(log)
      log.append = async (...args) => {
        if (isAway) throw new StoreUnavailableError('away')
        return append(...args)
      }
    })
    await using setting = await openRuns({ clock, store, abortGraceMs: 2_000 })
    const run = await setting.runs.start(anyRun(1), async (own) => {
      await new Promise((resolve) => own.signal.addEventListener('abort', resolve))
      await own.emit('progress', { step: 1, totalSteps: 1, progress: 100 })
      await own.emit('source_complete', { source: 'one' })
      throw own.signal.reason
    })
    isAway = true
    await setting.runs.cancel(run)
    for (let step = 0; step < 5; step++) {
      await settle()
      clock.advance(1_000)
    }
    isAway = false
    await settle()
    clock.advance(1_000)
    await run.ended
    expect(await typesOf(run.log)).toEqual(['progress', 'source_complete', 'complete'])
    expect(setting.errors).toEqual([])
  })

  it('reports an error that is not the reason it was stopped for', async () => {
    await using setting = await openRuns()
    const run = await setting.runs.start(
      anyRun(),
      ({ signal }) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('odd')))),
    )
    await setting.runs.cancel(run)
    await run.ended
    expect(run.status).toBe('cancelled')
    expect(setting.errors).toMatchObject([{ message: 'odd' }])
  })
})

describe('RunRegistry, deadlines', () => {
  it('expires a run that is not done in time', async () => {
    await using setting = await openRuns()
    const { work } = heldWork()
    const run = await setting.runs.start({ ...anyRun(1), deadlineMs: 1_000 }, work)
    setting.clock.advance(999)
    expect(run.signal.aborted).toBe(false)
    setting.clock.advance(1)
    await run.ended
    expect(run.signal.reason).toMatchObject({ code: 'deadline_exceeded' })
    expect(await completeOf(run)).toMatchObject({ status: 'expired', errorCount: 1 })
  })

  it('ends as what came first', async () => {
    await using setting = await openRuns()
    const run = await setting.runs.start({ ...anyRun(), deadlineMs: 1_000 }, never)
    await setting.runs.cancel(run)
    setting.clock.advance(10_000)
    await run.ended
    expect(run.status).toBe('cancelled')
  })

  it('leaves no timer behind', async () => {
    const setting = await openRuns()
    const before = setting.clock.timerCount
    const held = heldWork()
    const run = await setting.runs.start({ ...anyRun(), deadlineMs: 1_000 }, held.work)
    held.end(outcome(1, 0))
    await run.ended
    await settle()
    expect(setting.clock.timerCount).toBe(before)
    await setting.runs.close()
    await setting.store.close()
    expect(setting.clock.timerCount).toBe(0)
  })
})

describe('RunRegistry, a log that fails', () => {
  it('tries the terminal event again until it stands, and appends it once', async () => {
    const clock = new FakeClock()
    let failures = 2
    const store = storeWith(new MemoryEventStore({ clock }), (log) => {
      const close = log.close.bind(log)
      log.close = (terminal) => (failures-- > 0 ? Promise.reject(new Error('disk')) : close(terminal))
    })
    await using setting = await openRuns({ clock, store })
    const run = await setting.runs.start(anyRun(1), async () => outcome(1, 0))
    for (let second = 0; second < 3; second++) {
      await settle()
      clock.advance(1_000)
    }
    await run.ended
    expect(await completeOf(run)).toMatchObject({ status: 'succeeded', durationMs: 0 })
    expect(setting.errors).toHaveLength(2)
  })

  it('gives up at last, so that nothing waits for ever', async () => {
    const clock = new FakeClock()
    const store = storeWith(new MemoryEventStore({ clock }), (log) => {
      log.append = () => Promise.reject(new Error('disk'))
      log.close = () => Promise.reject(new Error('disk'))
    })
    const setting = await openRuns({ clock, store })
    const run = await setting.runs.start(anyRun(1), async (begun) => {
      await begun.emit('progress', { step: 0, totalSteps: 1, progress: 0 })
      return outcome(1, 0)
    })
    for (let second = 0; second < 6; second++) {
      await settle()
      clock.advance(1_000)
    }
    await run.ended
    expect(run.status).toBe('failed')
    await settle()
    expect(setting.runs.runningCount).toBe(0)
    await setting.runs.close()
  })

  it('does not start where the log cannot be opened', async () => {
    await using setting = await openRuns()
    setting.store.open = () => Promise.reject(new Error('disk'))
    const work = vi.fn()
    await expect(setting.runs.start(anyRun(), work)).rejects.toThrow('disk')
    expect(work).not.toHaveBeenCalled()
    expect(setting.runs.size).toBe(0)
  })

  it('loses no run to an error handler that throws', async () => {
    const onError = vi.fn(() => {
      throw new Error('of the logger')
    })
    await using setting = await openRuns({ onError })
    const run = await setting.runs.start(anyRun(), () => Promise.reject(new Error('of the work')))
    await run.ended
    expect(onError).toHaveBeenCalledOnce()
    expect(run.status).toBe('failed')
  })
})

describe('RunRegistry, keeping', () => {
  const finishedRun = async ({ runs }: Awaited<ReturnType<typeof openRuns>>) => {
    const run = await runs.start(anyRun(), async () => outcome(1, 0))
    await run.ended
    await settle()
    return run
  }

  it('finds runs by id, and lists the newest first', async () => {
    await using setting = await openRuns()
    const first = await finishedRun(setting)
    const second = await finishedRun(setting)
    expect((await setting.runs.get(first.id))?.view()).toEqual(first.view())
    expect(await setting.runs.get('run_unknown')).toBeUndefined()
    expect(await listed(setting)).toEqual(idsOf(second, first))
  })

  it('forgets finished runs by age, log and all, and none that runs', async () => {
    await using setting = await openRuns({ maxAgeMs: 60_000 })
    const { work } = heldWork()
    const running = await setting.runs.start(anyRun(), work)
    await finishedRun(setting)
    setting.clock.advance(50_000)
    const younger = await finishedRun(setting)
    setting.clock.advance(45_000)
    await settle()
    expect(await listed(setting)).toEqual(idsOf(younger, running))
    expect(await namesOf(setting.store)).toEqual([running, younger].map(({ log }) => log.name).toSorted())
  })

  it('keeps no more finished runs than told, from the moment one more ends', async () => {
    await using setting = await openRuns({ maxCount: 2 })
    const { work } = heldWork()
    const running = await setting.runs.start(anyRun(), work)
    const finished: Run[] = []
    for (let n = 0; n < 4; n++) finished.push(await finishedRun(setting))
    expect(await listed(setting)).toEqual(idsOf(finished[3], finished[2], running))
    expect(await namesOf(setting.store)).toHaveLength(3)
  })

  it('forgets no more than it must where two sweeps overlap', async () => {
    await using setting = await openRuns({ maxCount: 5 })
    for (let n = 0; n < 5; n++) await finishedRun(setting)
    const held = Array.from({ length: 2 }, heldWork)
    for (const { work } of held) await setting.runs.start(anyRun(), work)
    for (const { end } of held) end(outcome(1, 0))
    await Promise.all([setting.runs.sweep(), setting.runs.sweep(), settle()])
    await Promise.all([setting.runs.sweep(), setting.runs.sweep()])
    expect(setting.runs.size).toBe(5)
  })

  it('goes on where a log cannot be dropped', async () => {
    await using setting = await openRuns({ maxAgeMs: 1_000 })
    await finishedRun(setting)
    setting.store.drop = () => Promise.reject(new Error('disk'))
    setting.clock.advance(60_000)
    await settle()
    expect(setting.runs.size).toBe(0)
    expect(setting.errors).toMatchObject([{ message: 'disk' }])
  })
})

describe('RunRegistry, draining', () => {
  it('takes no more, and waits for what runs', async () => {
    await using setting = await openRuns()
    const held = heldWork()
    const run = await setting.runs.start(anyRun(), held.work)
    const drained = setting.runs.drain(10_000)
    await expect(setting.runs.start(anyRun(), never)).rejects.toMatchObject({
      code: 'draining',
      statusCode: 503,
      retryAfterS: 1,
    })
    held.end(outcome(1, 0))
    await drained
    expect(run.status).toBe('succeeded')
    expect(setting.runs.runningCount).toBe(0)
  })

  it('cancels what is not done in time', async () => {
    await using setting = await openRuns()
    const { work } = heldWork()
    const run = await setting.runs.start(anyRun(), work)
    const drained = setting.runs.drain(10_000)
    setting.clock.advance(10_000)
    await drained
    expect(run.signal.reason).toBeInstanceOf(RunAbort)
    expect(run.status).toBe('cancelled')
  })

  it('lets no run in that was being opened when the drain began', async () => {
    await using setting = await openRuns()
    const starting = setting.runs.start(anyRun(), never)
    await setting.runs.drain(0)
    await expect(starting).rejects.toMatchObject({ code: 'draining' })
    expect(setting.runs.size).toBe(0)
    expect(await namesOf(setting.store)).toEqual([])
  })

  it('closes at once what runs, also twice', async () => {
    const setting = await openRuns()
    const { work } = heldWork()
    const run = await setting.runs.start(anyRun(), work)
    await Promise.all([setting.runs.close(), setting.runs.close()])
    expect(run.status).toBe('cancelled')
    await setting.runs.close()
  })
})

async function namesOf(store: EventStore): Promise<string[]> {
  return (await store.list({ prefix: 'run:' })).map(({ name }) => name)
}

const idsOf = (...runs: (Run | undefined)[]) => runs.flatMap((run) => run?.id ?? []).toSorted()

/** Those that the registry tells of, whatever their order: they may have begun in the same moment. */
async function listed({ runs }: { runs: RunRegistry }): Promise<string[]> {
  return (await runs.list()).runs.map(({ runId }) => runId).toSorted()
}
