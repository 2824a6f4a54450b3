import { AddressPolicy, OutboundClient } from '@tributary/outbound'
import { FakeClock, ScriptedUpstream, steps } from '@tributary/testkit'
import { onTestFinished } from 'vitest'
import { Worker } from '../src/relay/worker.ts'
import { WorkerPool } from '../src/relay/worker-pool.ts'

/** What a worker answers to one request after another. */
export type Script = Parameters<ScriptedUpstream['script']>[1][]

/** An event of a run, as a worker sends it. */
export function runFrame(runId: string, n: number, type: string, data: unknown) {
  const id = `${runId}.1000-${n}`
  const head = { id, type, timestamp: 1_000, priority: 'normal', source: 'worker', version: '1' }
  return steps.frame({ id, event: type, data: { ...head, data } })
}

/** Workers that share their runs and answer readers of one as scripted, and what a mirror of a run needs. */
export async function scriptedWorkers(runId: string, first: Script, ...others: readonly Script[]) {
  const clock = new FakeClock()
  const client = new OutboundClient({ policy: new AddressPolicy({ allow: ['127.0.0.1'] }) })
  onTestFinished(() => client.close())
  const start = async (script: Script) => {
    const upstream = await ScriptedUpstream.start()
    onTestFinished(() => upstream.close())
    upstream.script(`/api/runs/${runId}/events`, ...script)
    return { upstream, worker: new Worker({ url: upstream.url, client, now: () => clock.now() }) }
  }
  const started = [await start(first), ...(await Promise.all(others.map(start)))] as const
  const workers = started.map(({ worker }) => worker)
  const pool = new WorkerPool({ listed: workers, shared: true, random: () => 0 })
  const settings = {
    pool,
    clock,
    random: () => 0,
    maxEvents: 1_000,
    maxEventChars: 100_000,
    heartbeatMs: 30_000,
    giveUpMs: 60_000,
  }
  const upstreams = started.map(({ upstream }) => upstream)
  return { worker: started[0].worker, workers, upstreams, pool, clock, settings }
}
