import { expect, it, onTestFinished, vi } from 'vitest'
import { RemoteRuns } from '../src/relay/remote-runs.ts'
import { RunMirrors } from '../src/relay/run-mirrors.ts'
import { runFrame, scriptedWorkers } from './scripted-workers.ts'

const RUN = 'run_1'

/** The end of the run, as the worker tells it. */
function complete(n: number) {
  const counts = { totalTasks: 0, successCount: 0, errorCount: 0 }
  const data = { runId: RUN, status: 'succeeded', ...counts, errors: [], durationMs: 1 }
  return runFrame(RUN, n, 'complete', data)
}

it('asks the worker again for who comes some time after the end, and leaves what others read', async () => {
  const { worker, pool, clock, settings } = await scriptedWorkers(RUN, [[complete(1)], [complete(2)]])
  const mirrors = new RunMirrors({ ...settings, remoteRuns: new RemoteRuns(pool) })
  onTestFinished(() => mirrors.close())
  const first = mirrors.of(RUN, worker)
  onTestFinished(first.hold())
  await vi.waitFor(() => expect(first.log.closed).toBe(true))
  expect(mirrors.of(RUN, worker)).toBe(first)
  clock.advance(2_000)
  const second = mirrors.of(RUN, worker)
  await vi.waitFor(() => expect(second.log.head.n).toBe(2))
  expect(first.closed).toBe(false)
  expect(mirrors.size).toBe(2)
  mirrors.close()
  expect([first.closed, second.closed, mirrors.size]).toEqual([true, true, 0])
})
