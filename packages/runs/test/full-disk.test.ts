import type { EventStore } from '@tributary/eventlog'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { cancelRun } from '../src/cancel-run.ts'
import type { Run } from '../src/run.ts'
import {
  anyRun,
  heldWork,
  never,
  openRuns,
  settle,
  succeeded,
  typesOf,
  until,
  untilStopped,
} from './runs-under-test.ts'
import { DISKS, fillable } from './stores-under-test.ts'

const step = { step: 1, totalSteps: 2, progress: 50 }

describe('RunRegistry on a full disk', () => {
  async function openFull() {
    const clock = new FakeClock()
    const memory = await DISKS.memory(clock)
    const { store, disk } = fillable(await memory.open())
    return { disk, ...(await openRuns({ clock, store })) }
  }

  it('takes no run, and goes on with those that run once there is room', async () => {
    const { clock, disk, runs, errors, store } = await openFull()
    const emitted: string[] = []
    const gate = Promise.withResolvers<void>()
    const run = await runs.start(anyRun(2), async (begun) => {
      await gate.promise
      const appends = [1, 2, 3].map((n) =>
        begun.emit('progress', { ...step, step: n }).then(({ event }) => emitted.push(event.id)),
      )
      expect(begun.stall).toBeUndefined()
      await settle()
      await begun.stall
      await Promise.all(appends)
      return succeeded(2)
    })
    disk.full = true
    gate.resolve()
    await until(() => run.stall !== undefined)
    clock.advance(5_000)
    await settle()
    expect(emitted).toEqual([])
    expect(run.status).toBe('running')
    disk.full = false
    clock.advance(1_000)
    await run.ended
    expect(emitted).toHaveLength(3)
    expect(await typesOf(run.log)).toEqual(['progress', 'progress', 'progress', 'complete'])
    expect(run.stall).toBeUndefined()
    expect(errors).toEqual([])
    await runs.close()
    await store.close()
  })

  it('waits with the end of a run, and does not let it overtake what comes before', async () => {
    const { clock, disk, runs, errors } = await openFull()
    const gate = Promise.withResolvers<void>()
    const run = await runs.start(anyRun(1), async (begun) => {
      await gate.promise
      void begun.emit('progress', step).catch(() => undefined)
      return succeeded()
    })
    disk.full = true
    gate.resolve()
    // The second in which the end is tried again may come before that in which the event is.
    await until(() => run.endedAt !== undefined)
    clock.advance(10_000)
    await settle()
    disk.full = false
    for (let second = 0; second < 5 && !run.log.closed; second++) {
      clock.advance(1_000)
      await settle()
    }
    expect(await typesOf(run.log)).toEqual(['progress', 'complete'])
    expect(errors).toEqual([])
  })

  it('still ends when it is drained, and goes on with the run afterwards', async () => {
    const { clock, disk, runs, store } = await openFull()
    const run = await runs.start(anyRun(1), async (begun) => {
      await settle()
      await begun.emit('progress', step)
      return succeeded()
    })
    disk.full = true
    await until(() => run.stall !== undefined)
    const drained = runs.drain(3_000)
    clock.advance(3_000)
    await drained
    expect(await typesOf(run.log)).toEqual([])
    // It comes again while the disk is full still, and can be read.
    const again = await openRuns({ clock, store })
    await again.runs.recover(() => async () => succeeded())
    await settle()
    expect((await again.runs.find(run.id)).status).toBe('running')
    disk.full = false
    clock.advance(1_000)
    await (await again.runs.find(run.id)).ended
    expect((await again.runs.find(run.id)).status).toBe('succeeded')
    await again.runs.close()
  })

  it('keeps a cancel until it can be stored', async () => {
    const { clock, disk, runs } = await openFull()
    const { work } = heldWork()
    const run = await runs.start(anyRun(1), work)
    disk.full = true
    expect(await runs.cancel(run)).toBe(true)
    await settle()
    expect(run.log.closed).toBe(false)
    disk.full = false
    for (let second = 0; second < 5 && !run.log.closed; second++) {
      clock.advance(1_000)
      await settle()
    }
    await run.ended
    expect(run.status).toBe('cancelled')
  })

  it('does not answer a cancel that is not stored as if it were, and stops the run all the same', async () => {
    const { clock, disk, runs } = await openFull()
    const run = await runs.start(anyRun(1), heldWork().work)
    disk.full = true
    for (const attempt of [1, 2]) {
      const answer = cancelRun(run, runs, clock)
      const refused = expect(answer, `cancel ${attempt}`).rejects.toMatchObject({
        code: 'store_unavailable',
        retryAfterS: 5,
        message: expect.stringContaining(
          'the run is cancelled, but a crash before that is stored would undo it',
        ),
      })
      expect(run.signal.aborted).toBe(true)
      await until(() => run.status === 'cancelled')
      clock.advance(10_000)
      await refused
    }
    disk.full = false
    const again = cancelRun(run, runs, clock)
    await advanceUntil(clock, () => run.log.closed)
    expect(await again).toEqual({ runId: run.id, status: 'cancelled', cancelled: false })
    await runs.close()
  })

  it('answers a cancel once it is stored, though the end is not, and keeps to it over a crash', async () => {
    const { clock, disk, runs, store } = await openFull()
    const run = await runs.start(anyRun(1), never)
    const answer = cancelRun(run, runs, clock)
    await until(() => run.isEndStored)
    disk.full = true
    clock.advance(10_000)
    expect(await answer).toMatchObject({ cancelled: true })
    // Its end has been tried by then.
    await settle()
    expect(run.log.closed).toBe(false)
    disk.full = false
    await comeBack(clock, store, run)
    expect(await typesOf(run.log)).toEqual(['complete'])
  })

  /** Goes on with the run as the process after a crash does. */
  async function comeBack(clock: FakeClock, store: EventStore, { id }: Run) {
    const { runs } = await openRuns({ clock, store })
    await runs.recover(() => untilStopped)
    const run = await runs.find(id)
    await run.ended
    expect(run.status).toBe('cancelled')
  }

  async function advanceUntil(clock: FakeClock, isSo: () => boolean) {
    for (let second = 0; second < 10 && !isSo(); second++) {
      clock.advance(1_000)
      await settle()
    }
  }
})
