import { AddressPolicy, OutboundClient } from '@tributary/outbound'
import { FakeClock, ScriptedUpstream, steps } from '@tributary/testkit'
import { expect, it, onTestFinished, vi } from 'vitest'
import { RemoteRuns } from '../src/relay/remote-runs.ts'
import { RunMirrors } from '../src/relay/run-mirrors.ts'
import { Worker } from '../src/relay/worker.ts'
import { WorkerPool } from '../src/relay/worker-pool.ts'

const RUN = 'run_1'

/** The end of the run, as the worker tells it. */
function complete(n: number) {
  const id = `${RUN}.1000-${n}`
  const counts = { totalTasks: 0, successCount: 0, errorCount: 0 }
  const data = { runId: RUN, status: 'succeeded', ...counts, errors: [], durationMs: 1 }
  const head = { id, type: 'complete', timestamp: 1_000, priority: 'normal', source: 'worker', version: '1' }
  return steps.frame({ id, event: 'complete', data: { ...head, data } })
}

it('asks the worker again for who comes some time after the end, and leaves what others read', async () => {
  const upstream = await ScriptedUpstream.start()
  onTestFinished(() => upstream.close())
  upstream.script(`/api/runs/${RUN}/events`, [complete(1)], [complete(2)])
  const clock = new FakeClock()
  const client = new OutboundClient({ policy: new AddressPolicy({ allow: ['127.0.0.1'] }) })
  onTestFinished(() => client.close())
  const worker = new Worker({ url: upstream.url, client, now: () => clock.now() })
  const pool = new WorkerPool({ listed: [worker], shared: true, random: () => 0 })
  const mirrors = new RunMirrors({
    remoteRuns: new RemoteRuns(pool),
    pool,
    clock,
    random: () => 0,
    maxEvents: 1_000,
    maxEventChars: 100_000,
    heartbeatMs: 30_000,
    giveUpMs: 60_000,
  })
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
