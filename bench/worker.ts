/**
 * What the worker costs: 1,000 tasks at concurrency 50 against an API that answers at once, from the request to
 * the last event, beside a bare loop of p-limit and undici that makes the same calls and tells nobody.
 */
import { lastingPort } from '@tributary/testkit'
import pLimit from 'p-limit'
import { Agent, request } from 'undici'
import { BenchProcess } from './child-process.ts'
import { median, report } from './figures.ts'
import { CONCURRENCY, parallelTasks, TASKS, type Timed, timed } from './parallel-tasks.ts'

const WARM_UP_ROUNDS = 8
const DEFAULT_ROUNDS = 10
const TARGET = 1.5
const AIM = 1.25

export async function benchWorker(rounds = DEFAULT_ROUNDS): Promise<void> {
  await using api = await BenchProcess.start('bench/local-api.ts')
  await using worker = await BenchProcess.start('apps/worker/src/main.ts', {
    WORKER_PORT: String(await lastingPort()),
    OUTBOUND_ALLOW: new URL(api.url).host,
  })
  const agent = new Agent({ connections: CONCURRENCY })
  const bare: number[] = []
  const ours: number[] = []
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    const bareMs = await timed(() => bareLoop(api.url, agent))
    const oursMs = await timed(() => parallelTasks(worker.url, api.url))
    if (round < 0) continue
    bare.push(bareMs)
    ours.push(oursMs)
  }
  await agent.close()
  const ratios = ours.map((ms, round) => ms / (bare[round] ?? Number.NaN))
  const ratio = median(ours) / median(bare)
  report(
    `worker: ${TASKS} tasks at concurrency ${CONCURRENCY}, ${rounds} rounds in turn`,
    [
      { what: 'bare p-limit + undici', 'median ms': median(bare).toFixed(1), ratio: '1.00' },
      { what: 'worker, all events read', 'median ms': median(ours).toFixed(1), ratio: ratio.toFixed(2) },
    ],
    {
      bench: 'worker',
      rounds,
      ratio,
      ratioOfPairs: median(ratios),
      target: TARGET,
      aim: AIM,
      bareMs: bare,
      oursMs: ours,
    },
  )
}

async function bareLoop(apiUrl: string, agent: Agent): Promise<Timed> {
  const limit = pLimit(CONCURRENCY)
  const startedAt = performance.now()
  const bodies = await limit.map(Array.from({ length: TASKS }), async (_, index) => {
    const { body } = await request(`${apiUrl}/items/${index}`, { dispatcher: agent })
    return body.json()
  })
  const ms = performance.now() - startedAt
  return { ms, complete: bodies.length === TASKS }
}
