import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import type { RunWork } from '../src/execute-run.ts'
import { RunSuspendedError } from '../src/run-error.ts'
import { anyRun, heldWork, never, openRuns, settle, succeeded, typesOf } from './runs-under-test.ts'
import { DISKS } from './stores-under-test.ts'

const step = { step: 1, totalSteps: 2, progress: 50 }

async function openDurable() {
  const clock = new FakeClock()
  const disk = await DISKS.memory(clock)
  return { clock, disk, store: await disk.open() }
}

describe('RunRegistry, draining where the store is durable', () => {
  it('lets work finish what is under way, and stores the rest', async () => {
    const { clock, store } = await openDurable()
    const setting = await openRuns({ clock, store })
    const underWay = Promise.withResolvers<void>()
    const work: RunWork = async (run) => {
      await underWay.promise
      await run.emit('progress', step)
      return run.draining.aborted ? undefined : succeeded(2)
    }
    const run = await setting.runs.start(anyRun(2), work)
    const drained = setting.runs.drain(10_000)
    expect(run.draining.aborted).toBe(true)
    expect(run.signal.aborted).toBe(false)
    underWay.resolve()
    await drained
    expect(await typesOf(run.log)).toEqual(['progress'])
    expect(run.view()).toMatchObject({ status: 'running' })
    await using again = await openRuns({ clock, store })
    await again.runs.recover(() => async () => succeeded(2))
    const found = await again.runs.find(run.id)
    await found.ended
    expect(found.status).toBe('succeeded')
    expect(setting.errors).toEqual([])
  })

  it('accepts a run that was being prepared, and begins it after the restart', async () => {
    const { clock, store } = await openDurable()
    const setting = await openRuns({ clock, store })
    const prepared = Promise.withResolvers<void>()
    let begun = 0
    const work: RunWork = async () => {
      begun += 1
      return succeeded(1)
    }
    const starting = setting.runs.start({ ...anyRun(1), prepare: () => prepared.promise }, work)
    await settle()
    const drained = setting.runs.drain(10_000)
    prepared.resolve()
    const run = await starting
    await drained
    expect([begun, run.view().status, run.log.closed]).toEqual([0, 'accepted', false])
    await using again = await openRuns({ clock, store })
    await again.runs.recover(() => work)
    await (await again.runs.find(run.id)).ended
    expect([begun, (await again.runs.find(run.id)).status]).toEqual([1, 'succeeded'])
  })

  it('cuts what goes on past the limit, and appends nothing of that', async () => {
    const { clock, store } = await openDurable()
    const { runs, errors } = await openRuns({ clock, store })
    const held = heldWork()
    const run = await runs.start(anyRun(1), held.work)
    const drained = runs.drain(10_000)
    clock.advance(9_999)
    expect(run.signal.aborted).toBe(false)
    clock.advance(1)
    await drained
    expect(run.signal.reason).toBeInstanceOf(RunSuspendedError)
    await run.ended
    await expect(run.emit('progress', step)).rejects.toMatchObject({ code: 'run_suspended' })
    expect(await runs.cancel(run)).toBe(false)
    expect(await typesOf(run.log)).toEqual([])
    expect(run.log.closed).toBe(false)
    expect(errors).toEqual([])
  })

  it('waits for no work that does not stop', async () => {
    const { clock, store } = await openDurable()
    const { runs } = await openRuns({ clock, store })
    const run = await runs.start(anyRun(1), never)
    await runs.close()
    expect(await typesOf(run.log)).toEqual([])
  })

  it('ends a run that is done in time, or that is cancelled meanwhile', async () => {
    const { clock, store } = await openDurable()
    const { runs } = await openRuns({ clock, store })
    const [done, cancelled] = [heldWork(), heldWork()]
    const first = await runs.start(anyRun(1), done.work)
    const second = await runs.start(anyRun(1), cancelled.work)
    const drained = runs.drain(10_000)
    done.end(succeeded())
    expect(await runs.cancel(second)).toBe(true)
    await drained
    expect([first.status, second.status]).toEqual(['succeeded', 'cancelled'])
  })

  it('puts down what it has not gone on with, so that nobody waits for it', async () => {
    const { clock, store } = await openDurable()
    const first = await openRuns({ clock, store })
    const { id } = await first.runs.start(anyRun(1), never)
    await first.runs.close()
    const second = await openRuns({ clock, store })
    const run = await second.runs.find(id)
    await second.runs.drain(10_000)
    await run.ended
    await second.runs.recover(() => never)
    expect(second.runs.runningCount).toBe(0)
  })

  it('leaves no timer behind', async () => {
    const { clock, disk, store } = await openDurable()
    const before = clock.timerCount
    const { runs } = await openRuns({ clock, store })
    await runs.start({ ...anyRun(1), deadlineMs: 1_000, onDisconnect: 'cancel' }, never)
    await runs.close()
    await settle()
    expect(clock.timerCount).toBe(before)
    await disk[Symbol.asyncDispose]()
  })

  it('fails a run whose work comes to nothing without being drained', async () => {
    const { clock, store } = await openDurable()
    await using setting = await openRuns({ clock, store })
    const run = await setting.runs.start(anyRun(1), async () => undefined)
    await run.ended
    expect(await typesOf(run.log)).toEqual(['error', 'complete'])
    expect(setting.errors).toHaveLength(1)
  })
})
