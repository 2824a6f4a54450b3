import type { ReadableLog } from '@tributary/eventlog'
import { MemoryEventStore } from '@tributary/eventlog/memory'
import { type Run, RunAbort, RunRegistry } from '@tributary/runs'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import type { RunMirror } from '../src/relay/run-mirror.ts'
import type { Source } from '../src/relay/source.ts'
import { SourceRecord } from '../src/relay/source-record.ts'
import { readSources } from '../src/relay/source-run.ts'
import { WorkerRunSource } from '../src/relay/worker-run-source.ts'

const ABORT_GRACE_MS = 5_000
const options = { maxEventBytes: 10_000, readers: { note: () => undefined } }

/** A source that says this, and then nothing, whatever it is told. */
function stuckSource(name: string): Source {
  return {
    name,
    resumable: true,
    begin: async () => undefined,
    cancel: async () => undefined,
    async *read() {
      yield [{ type: 'tick', data: { seq: 1 }, cursor: '1' }]
      await new Promise(() => undefined)
    },
  }
}

const work = (sources: readonly Source[]) => (run: Run) =>
  readSources(
    run,
    sources.map((source, index) => ({ source, record: new SourceRecord(run, index) })),
    options,
  )

async function told(log: ReadableLog): Promise<unknown[]> {
  return (await log.read(0)).entries.map(({ event: { type, data } }) => [type, data])
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('the ends of the sources of a run', () => {
  it('are told also where a source does not stop in time', async () => {
    const clock = new FakeClock()
    await using store = new MemoryEventStore({ clock })
    const errors: unknown[] = []
    const runs = await RunRegistry.open({ source: 'gateway', clock, store, onError: (e) => errors.push(e) })
    await using _ = runs
    const run = await runs.start(
      { kind: 'merge', userId: 'ann', totalTasks: 2 },
      work([stuckSource('one'), stuckSource('two')]),
    )
    await settled()
    await runs.cancel(run, 'Enough')
    await settled()
    clock.advance(ABORT_GRACE_MS)
    await run.ended
    const ended = { error: 'Enough', code: 'cancelled' }
    expect(await told(run.log)).toEqual([
      ['tick', { seq: 1, source: 'one' }],
      ['tick', { seq: 1, source: 'two' }],
      ['source_error', expect.objectContaining({ source: 'one', ...ended })],
      ['source_error', expect.objectContaining({ source: 'two', ...ended })],
      ['complete', expect.objectContaining({ status: 'cancelled', totalTasks: 2, errorCount: 2 })],
    ])
    expect(errors).toMatchObject([{ message: 'The work of a run did not stop within 5000 ms' }])
  })

  it('are told at once where the worker of one is still being asked', async () => {
    const clock = new FakeClock()
    await using store = new MemoryEventStore({ clock })
    const errors: unknown[] = []
    const runs = await RunRegistry.open({ source: 'gateway', clock, store, onError: (e) => errors.push(e) })
    await using _ = runs
    const silent = new WorkerRunSource({
      name: 'flow',
      open: () => new Promise<RunMirror>(() => undefined),
      clock,
      giveUpMs: 60_000,
      patient: true,
    })
    const run = await runs.start({ kind: 'merge', userId: 'ann', totalTasks: 1 }, work([silent]))
    await settled()
    run.abort(RunAbort.cancelled())
    await run.ended
    expect(await told(run.log)).toMatchObject([
      ['source_error', { source: 'flow', code: 'cancelled' }],
      ['complete', { status: 'cancelled', errorCount: 1 }],
    ])
    expect(errors).toEqual([])
  })
})
