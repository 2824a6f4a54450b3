/**
 * What storing costs: the same run of 1,000 tasks at concurrency 50, against an API that answers in 10 ms, by a
 * worker that keeps its logs in memory and by one that keeps them in SQLite, in turn.
 */
import { lastingPort } from '@tributary/testkit'
import { BenchProcess } from './child-process.ts'
import { median, report } from './figures.ts'
import { CONCURRENCY, parallelTasks, TASKS, timed } from './parallel-tasks.ts'

const API_DELAY_MS = 10
const WARM_UP_ROUNDS = 8
const DEFAULT_ROUNDS = 20
const TARGET = 1.15

export async function benchRunLog(rounds = DEFAULT_ROUNDS): Promise<void> {
  await using api = await BenchProcess.start('bench/local-api.ts', { DELAY_MS: String(API_DELAY_MS) })
  await using inMemory = await startWorker('memory', api.url)
  await using inSqlite = await startWorker('sqlite', api.url)
  const memory: number[] = []
  const sqlite: number[] = []
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    const memoryMs = await timed(() => parallelTasks(inMemory.url, api.url))
    const sqliteMs = await timed(() => parallelTasks(inSqlite.url, api.url))
    if (round < 0) continue
    memory.push(memoryMs)
    sqlite.push(sqliteMs)
  }
  const ratio = median(sqlite) / median(memory)
  const row = (what: string, ms: number) => ({
    what,
    'median ms': ms.toFixed(1),
    'tasks/s': Math.round((TASKS / ms) * 1_000),
    ratio: (ms / median(memory)).toFixed(2),
  })
  report(
    `run-log: ${TASKS} tasks at concurrency ${CONCURRENCY}, ${rounds} rounds in turn`,
    [row('logs in memory', median(memory)), row('logs in SQLite', median(sqlite))],
    { bench: 'run-log', rounds, ratio, target: TARGET, memoryMs: memory, sqliteMs: sqlite },
  )
}

async function startWorker(store: 'memory' | 'sqlite', apiUrl: string): Promise<BenchProcess> {
  return BenchProcess.start('apps/worker/src/main.ts', {
    STORE: store,
    WORKER_PORT: String(await lastingPort()),
    OUTBOUND_ALLOW: new URL(apiUrl).host,
  })
}
