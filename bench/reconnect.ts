/**
 * Ten thousand readers of a group come back at the same moment, each a hundred events behind: how long until all
 * have what they missed, and what it costs the gateway. Once for each store.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { request } from 'undici'
import { BenchProcess } from './child-process.ts'
import { median, quantile, report } from './figures.ts'
import type { ProcessFigures } from './process-figures.ts'
import type { Storm, StormResult } from './storm-client.ts'

const READERS = 10_000
const EVENTS = 100
/** Before those that are missed, so that the log is more than what is replayed. */
const EARLIER_EVENTS = 400
const GROUP = '/api/sse/managed/broadcast/group/storm'
const HEALTH_INTERVAL_MS = 50
const DEFAULT_ROUNDS = 3

export async function benchReconnect(rounds = DEFAULT_ROUNDS): Promise<void> {
  const results: Record<'memory' | 'sqlite', Round[]> = { memory: [], sqlite: [] }
  for (let round = 0; round < rounds; round++) {
    results.memory.push(await storm('memory'))
    results.sqlite.push(await storm('sqlite'))
  }
  const rows = Object.entries(results).map(([store, rounds]) => ({
    store,
    'all caught up, ms': median(rounds.map(({ allMs }) => allMs)).toFixed(0),
    'half caught up, ms': median(rounds.map(({ halfMs }) => halfMs)).toFixed(0),
    'longest hold, ms': Math.max(...rounds.map(({ longestHoldMs }) => longestHoldMs)).toFixed(0),
    'slowest health, ms': Math.max(...rounds.map(({ slowestHealthMs }) => slowestHealthMs)).toFixed(0),
    'peak memory, MB': Math.max(...rounds.map(({ peakRssMb }) => peakRssMb)).toFixed(0),
    'before, MB': median(rounds.map(({ rssBeforeMb }) => rssBeforeMb)).toFixed(0),
  }))
  report(`reconnect: ${READERS} readers, ${EVENTS} events behind, ${rounds} rounds`, rows, {
    bench: 'reconnect',
    rounds,
    results,
  })
}

interface Round {
  readonly allMs: number
  readonly halfMs: number
  readonly longestHoldMs: number
  readonly slowestHealthMs: number
  readonly rssBeforeMb: number
  readonly peakRssMb: number
}

async function storm(store: 'memory' | 'sqlite'): Promise<Round> {
  const env = {
    STORE: store,
    GATEWAY_PORT: '0',
    MAX_CONNECTIONS: '20000',
    MAX_CONNECTIONS_PER_USER: '0',
    DRAIN_MS: '1000',
  }
  await using gateway = await BenchProcess.start('apps/gateway/src/main.ts', env, {
    imports: ['./process-figures.ts'],
  })
  await using client = await BenchProcess.start('bench/storm-client.ts')
  const cursor = await publish(gateway.url, EARLIER_EVENTS)
  await publish(gateway.url, EVENTS)
  const before = await figuresOf(gateway)
  const stop = new AbortController()
  const health = watchHealth(gateway.url, stop.signal)
  const plan: Storm = {
    port: Number(new URL(gateway.url).port),
    path: `/api/sse/managed/connect/group/storm?sessionId=s%d&lastEventId=${cursor}`,
    streams: READERS,
    events: EVENTS,
  }
  const result = await runStorm(client, plan)
  stop.abort()
  const slowestHealthMs = await health
  const after = await figuresOf(gateway)
  if (result.failed > 0 || result.disordered > 0 || result.events !== READERS * EVENTS) {
    const { failed, disordered, events } = result
    throw new Error(`${failed} readers failed, ${disordered} were out of order, ${events} events came`)
  }
  return {
    allMs: quantile(result.caughtUpMs, 1),
    halfMs: median(result.caughtUpMs),
    longestHoldMs: after.longestHoldMs,
    slowestHealthMs,
    rssBeforeMb: before.rssMb,
    peakRssMb: after.peakRssMb,
  }
}

/** Answers the id of the last event. */
async function publish(gatewayUrl: string, count: number): Promise<string> {
  let last = ''
  for (let n = 0; n < count; n++) {
    const { body } = await request(gatewayUrl + GROUP, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ event: 'tick', data: { n, text: 'x'.repeat(80) } }),
    })
    const answer: unknown = await body.json()
    if (typeof answer !== 'object' || answer === null || !('id' in answer) || typeof answer.id !== 'string') {
      throw new Error('an event was not published')
    }
    last = answer.id
  }
  return last
}

/** The slowest answer of `/healthz` until it is told to stop, in ms. Each must be 200. */
async function watchHealth(gatewayUrl: string, signal: AbortSignal): Promise<number> {
  let slowestMs = 0
  while (!signal.aborted) {
    const startedAt = performance.now()
    const { statusCode, body } = await request(`${gatewayUrl}/healthz`)
    await body.dump()
    if (statusCode !== 200) throw new Error(`health answered ${statusCode}`)
    slowestMs = Math.max(slowestMs, performance.now() - startedAt)
    await delay(HEALTH_INTERVAL_MS)
  }
  return slowestMs
}

function figuresOf(gateway: BenchProcess): Promise<ProcessFigures> {
  return gateway.ask('figures', (answer): answer is ProcessFigures => has(answer, 'peakRssMb'))
}

function runStorm(client: BenchProcess, plan: Storm): Promise<StormResult> {
  return client.ask(plan, (answer): answer is StormResult => has(answer, 'caughtUpMs'))
}

function has(answer: unknown, key: string): boolean {
  return typeof answer === 'object' && answer !== null && key in answer
}
