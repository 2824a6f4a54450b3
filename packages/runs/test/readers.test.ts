import type { EventLog } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { ReaderMarks } from '../src/reader-marks.ts'
import { anyRun, heldWork, never, openRuns, until } from './runs-under-test.ts'
import { DISKS } from './stores-under-test.ts'

/** Resolves with the next change of a log's attributes. */
function marked(log: EventLog): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const off = log.onAttributes(resolve)
  return promise.then(off)
}

describe('RunRegistry, for readers who leave', () => {
  async function openWithReaders(onDisconnect: 'cancel' | 'continue') {
    const clock = new FakeClock()
    const store = new MemoryEventStore({ clock })
    const { runs } = await openRuns({ clock, store, disconnectGraceMs: 10_000 })
    const run = await runs.start({ ...anyRun(1), onDisconnect }, heldWork().work)
    return { clock, runs, run }
  }

  it('changes nothing unless the run asks for it', async () => {
    const { clock, run, runs } = await openWithReaders('continue')
    run.hold()()
    clock.advance(60_000)
    expect(run.signal.aborted).toBe(false)
    await runs.close()
  })

  it('cancels a grace period after the last has left', async () => {
    const { clock, run } = await openWithReaders('cancel')
    const [first, second] = [run.hold(), run.hold()]
    clock.advance(60_000)
    first()
    first()
    clock.advance(60_000)
    expect(run.signal.aborted).toBe(false)
    second()
    clock.advance(9_999)
    expect(run.signal.aborted).toBe(false)
    clock.advance(1)
    await run.ended
    expect(run.signal.reason).toMatchObject({ message: 'Nobody reads the run any more' })
    expect(run.status).toBe('cancelled')
  })

  it('goes on where one comes back in time, whose own grace period is whole', async () => {
    const { clock, run, runs } = await openWithReaders('cancel')
    run.hold()()
    clock.advance(9_000)
    const back = run.hold()
    clock.advance(9_000)
    back()
    clock.advance(9_999)
    expect(run.signal.aborted).toBe(false)
    clock.advance(1)
    expect(run.signal.aborted).toBe(true)
    await runs.close()
  })

  it('waits for who reads at another node, and for the grace period after that', async () => {
    const { clock, run } = await openWithReaders('cancel')
    const marks = new ReaderMarks({ name: 'other', clock, graceMs: 10_000 })
    const release = marks.hold(run.id, () => run.openLog())
    for (let minute = 0; minute < 6; minute += 1) {
      await marked(run.log)
      clock.advance(10_000)
    }
    await marked(run.log)
    expect(run.signal.aborted).toBe(false)
    release()
    await marked(run.log)
    clock.advance(9_999)
    expect(run.signal.aborted).toBe(false)
    // Whoever executes it last looked when the reader was still there.
    clock.advance(30_001)
    expect(run.signal.aborted).toBe(true)
    await run.ended
  })

  it('does not wait for a node that is gone', async () => {
    const { clock, run } = await openWithReaders('cancel')
    const marks = new ReaderMarks({ name: 'other', clock: new FakeClock(), graceMs: 10_000 })
    marks.hold(run.id, () => run.openLog())
    await marked(run.log)
    clock.advance(30_000)
    expect(run.signal.aborted).toBe(true)
    await run.ended
  })

  it('cancels what nobody comes to read, also after a restart', async () => {
    const { clock, run } = await openWithReaders('cancel')
    clock.advance(10_000)
    await run.ended
    expect(run.status).toBe('cancelled')
    const memory = await DISKS.memory(clock)
    const store = await memory.open()
    const before = await openRuns({ clock, store, disconnectGraceMs: 10_000 })
    const left = await before.runs.start({ ...anyRun(1), onDisconnect: 'cancel' }, never)
    left.hold()
    clock.advance(60_000)
    expect(left.signal.aborted).toBe(false)
    await before.runs.close()
    const again = await openRuns({ clock, store, disconnectGraceMs: 10_000 })
    await again.runs.recover(() => heldWork().work)
    await until(() => again.runs.runningCount === 1)
    clock.advance(10_000)
    const found = await again.runs.find(left.id)
    await found.ended
    expect(found.status).toBe('cancelled')
  })
})
