import type { EventLog } from '@tributary/eventlog'
import { ProblemError } from '@tributary/protocol'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import type { Run } from '../src/run.ts'
import type { RunRegistryOptions } from '../src/run-registry-options.ts'
import { anyRun, eventsOf, heldWork, never, openRuns, succeeded, typesOf, until } from './runs-under-test.ts'
import { DISKS, type Disk } from './stores-under-test.ts'

/** A process of its own, on what the one before it left. It ends as if it had been killed: nothing is told to anyone. */
async function startProcess(disk: Disk, clock: FakeClock, options: Partial<RunRegistryOptions> = {}) {
  const store = await disk.open()
  const setting = await openRuns({ ...options, clock, store })
  return {
    ...setting,
    async [Symbol.asyncDispose]() {
      await setting.runs.close()
      await store.close()
    },
  }
}

const completesOf = async (log: EventLog) => (await eventsOf(log)).filter(({ type }) => type === 'complete')
const step = { step: 1, totalSteps: 2, progress: 50 }

describe.each(Object.entries(DISKS))('RunRegistry after a restart, in %s', (_, openDisk) => {
  it('tells of a run that had ended, and reads its events', async () => {
    const clock = new FakeClock()
    await using disk = await openDisk(clock)
    const told = await withThis(await startProcess(disk, clock), async ({ runs }) => {
      const run = await runs.start({ ...anyRun(1), request: { a: 1 } }, async (begun) => {
        await begun.emit('progress', { step: 1, totalSteps: 1, progress: 100 })
        return succeeded()
      })
      await run.ended
      expect([...run.log.attributes.keys()]).toEqual(['run'])
      return run.view()
    })
    await using again = await startProcess(disk, clock)
    const known = await again.runs.find(told.runId)
    expect(known.view()).toEqual(told)
    expect((await again.runs.list()).runs).toEqual([told])
    const log = await known.openLog()
    expect(await typesOf(log)).toEqual(['progress', 'complete'])
    expect(log.closed).toBe(true)
    expect(await again.runs.cancel(known)).toBe(false)
    await again.runs.recover(() => never)
    expect(again.runs.runningCount).toBe(0)
  })

  it('goes on with a run from what it was asked for, and ends it once', async () => {
    const clock = new FakeClock()
    await using disk = await openDisk(clock)
    const request = { count: 2, headers: { a: 'é' } }
    const runId = await withThis(await startProcess(disk, clock), async ({ runs }) => {
      const run = await runs.start({ ...anyRun(2), userId: 'bob', request }, heldWork().work)
      await run.emit('progress', step, { mine: 'x' })
      return run.id
    })
    clock.advance(5_000)
    await using again = await startProcess(disk, clock)
    const found = await again.runs.find(runId)
    // Readers may come before the work goes on.
    expect(found.view()).toMatchObject({ status: 'running', totalTasks: 2 })
    expect(found.userId).toBe('bob')
    expect(await typesOf(await found.openLog())).toEqual(['progress'])
    const { work, begun, end } = heldWork()
    const asked: unknown[] = []
    await again.runs.recover((run, given) => {
      asked.push(given, run.attribute('mine'))
      return work
    })
    const run = await begun
    expect(asked).toEqual([request, 'x'])
    expect(run.resumed).toBe(true)
    end({ ...succeeded(2) })
    await found.ended
    expect(await completesOf(await found.openLog())).toMatchObject([
      { data: { status: 'succeeded', durationMs: 5_000 } },
    ])
    expect((await again.runs.find(runId)).status).toBe('succeeded')
    expect(again.errors).toEqual([])
  })

  it('goes on as often as it takes', async () => {
    const clock = new FakeClock()
    await using disk = await openDisk(clock)
    const runId = await withThis(await startProcess(disk, clock), async ({ runs }) => {
      return (await runs.start(anyRun(1), never)).id
    })
    for (let n = 0; n < 3; n++) {
      await using process = await startProcess(disk, clock)
      const { work, begun } = heldWork()
      await process.runs.recover(() => work)
      await (await begun).emit('progress', step)
    }
    await using last = await startProcess(disk, clock)
    const run = await last.runs.find(runId)
    await last.runs.recover(() => async () => succeeded())
    await run.ended
    expect(await typesOf(await run.openLog())).toEqual(['progress', 'progress', 'progress', 'complete'])
  })

  it('ends a run as cancelled that was being cancelled', async () => {
    const clock = new FakeClock()
    await using disk = await openDisk(clock)
    const runId = await withThis(await startProcess(disk, clock), async ({ runs }) => {
      const run = await runs.start(anyRun(1), never)
      await runs.cancel(run, 'enough')
      await run.emit('progress', step)
      return run.id
    })
    await using again = await startProcess(disk, clock)
    const run = await again.runs.find(runId)
    const { work, begun } = heldWork()
    await again.runs.recover(() => work)
    expect((await begun).signal.reason).toMatchObject({ code: 'cancelled', message: 'enough' })
    await run.ended
    expect(await completesOf(await run.openLog())).toMatchObject([{ data: { status: 'cancelled' } }])
    expect([...(await run.openLog()).attributes.keys()]).toEqual(['run'])
  })

  it('ends a run as cancelled whose work does not stop even so', async () => {
    const clock = new FakeClock()
    await using disk = await openDisk(clock)
    const runId = await withThis(await startProcess(disk, clock), async ({ runs }) => {
      const run = await runs.start(anyRun(1), never)
      await runs.cancel(run)
      await run.emit('progress', step)
      return run.id
    })
    await using again = await startProcess(disk, clock, { abortGraceMs: 2_000 })
    const run = await again.runs.find(runId)
    const begun = Promise.withResolvers<void>()
    await again.runs.recover(() => (resumed) => {
      begun.resolve()
      return never(resumed)
    })
    await begun.promise
    clock.advance(2_000)
    await run.ended
    expect((await again.runs.find(runId)).status).toBe('cancelled')
  })

  it('cancels a run that it has not gone on with yet', async () => {
    const clock = new FakeClock()
    await using disk = await openDisk(clock)
    const runId = await withThis(await startProcess(disk, clock), async ({ runs }) => {
      return (await runs.start(anyRun(1), never)).id
    })
    await using again = await startProcess(disk, clock)
    const run = await again.runs.find(runId)
    expect(await again.runs.cancel(run)).toBe(true)
    await again.runs.recover(() => heldWork().work)
    await run.ended
    expect((await again.runs.find(runId)).status).toBe('cancelled')
  })

  it('lets a deadline go on, which may have passed meanwhile', async () => {
    const clock = new FakeClock()
    await using disk = await openDisk(clock)
    const [early, late] = await withThis(await startProcess(disk, clock), async ({ runs }) => [
      await runs.start({ ...anyRun(1), deadlineMs: 1_000 }, never),
      await runs.start({ ...anyRun(1), deadlineMs: 60_000 }, never),
    ])
    clock.advance(20_000)
    await using again = await startProcess(disk, clock)
    const seen = new Map<string, boolean>()
    await again.runs.recover((run) => (resumed) => {
      seen.set(run.id, run.signal.aborted)
      return heldWork().work(resumed)
    })
    const [expired, running] = await Promise.all([early, late].map((run) => again.runs.find(run?.id ?? '')))
    await expired?.ended
    await until(() => seen.size === 2)
    expect([early, late].map((run) => seen.get(run?.id ?? ''))).toEqual([true, false])
    expect((await again.runs.find(early?.id ?? '')).status).toBe('expired')
    clock.advance(39_999)
    expect(running?.status).toBe('running')
    clock.advance(1)
    await running?.ended
    expect((await again.runs.find(late?.id ?? '')).status).toBe('expired')
  })

  it('fails a run whose work cannot be built, and says why', async () => {
    const clock = new FakeClock()
    await using disk = await openDisk(clock)
    const runId = await withThis(await startProcess(disk, clock), async ({ runs }) => {
      return (await runs.start(anyRun(2), never)).id
    })
    await using again = await startProcess(disk, clock)
    const run = await again.runs.find(runId)
    await again.runs.recover(() => {
      throw new ProblemError('unknown_handler', 'There is no such handler any more')
    })
    await run.ended
    expect(await eventsOf(await run.openLog())).toMatchObject([
      { type: 'error', data: { error: 'There is no such handler any more', code: 'unknown_handler' } },
      { type: 'complete', data: { status: 'failed', totalTasks: 2, errorCount: 2 } },
    ])
  })

  it('passes over a record that cannot be read, and says so', async () => {
    const clock = new FakeClock()
    await using disk = await openDisk(clock)
    await withThis(await startProcess(disk, clock), async ({ store, runs }) => {
      await runs.start(anyRun(1), never)
      const retention = () => ({ maxEvents: 1, maxAgeMs: 1 })
      await store.open('run:odd', { runId: 'odd', retention, attributes: { run: '{"kind":"none"}' } })
    })
    await using again = await startProcess(disk, clock)
    expect(again.runs.size).toBe(1)
    expect(again.errors).toMatchObject([{ message: 'The record of run:odd cannot be read' }])
  })

  it('answers for a run that is kept no longer', async () => {
    const clock = new FakeClock()
    await using disk = await openDisk(clock)
    const gone = await withThis(await startProcess(disk, clock, { maxAgeMs: 60_000 }), async ({ runs }) => {
      const run = await runs.start(anyRun(), async () => succeeded())
      await run.ended
      await until(() => runs.runningCount === 0)
      const known = await runs.find(run.id)
      clock.advance(90_000)
      await runs.sweep()
      await expect(runs.find(run.id)).rejects.toEqual(
        expect.objectContaining({ code: 'run_gone', statusCode: 410 }),
      )
      await expect(known.openLog()).rejects.toMatchObject({ code: 'run_gone' })
      return run.id
    })
    await using again = await startProcess(disk, clock)
    await expect(again.runs.find(gone)).rejects.toEqual(expect.objectContaining({ code: 'run_gone' }))
    await expect(again.runs.find('run_other')).rejects.toEqual(
      expect.objectContaining({ code: 'run_not_found' }),
    )
    expect((await again.store.list()).map(({ name }) => name)).toEqual(['runs'])
  })

  it('forgets what grew too old while no process was there', async () => {
    const clock = new FakeClock()
    await using disk = await openDisk(clock)
    await withThis(await startProcess(disk, clock), async ({ runs }) => {
      await (await runs.start(anyRun(), async () => succeeded())).ended
    })
    clock.advance(2 * 86_400_000)
    await using again = await startProcess(disk, clock)
    await again.runs.sweep()
    expect(again.runs.size).toBe(0)
  })
})

describe('RunRegistry beside another that took its runs over', () => {
  it('appends nothing more, and ends nothing', async () => {
    const clock = new FakeClock()
    await using disk = await DISKS.memory(clock)
    const store = await disk.open()
    const stale = await openRuns({ clock, store })
    const held = heldWork()
    const old: Run = await stale.runs.start(anyRun(1), held.work)
    await old.emit('progress', step)
    await using current = await openRuns({ clock, store })
    const next = heldWork()
    await current.runs.recover(() => next.work)
    await next.begun
    await expect(old.emit('progress', step)).rejects.toMatchObject({ code: 'stale_epoch' })
    held.end(succeeded())
    await old.ended
    expect(await typesOf(old.log)).toEqual(['progress'])
    next.end({ ...succeeded(), successCount: 0, errorCount: 1 })
    await (await current.runs.find(old.id)).ended
    expect(await completesOf(old.log)).toMatchObject([{ data: { status: 'failed' } }])
  })
})

/** Uses a thing, disposes of it, and answers what came of that. */
async function withThis<T extends AsyncDisposable, R>(thing: T, use: (thing: T) => Promise<R>): Promise<R> {
  await using used = thing
  return await use(used)
}
