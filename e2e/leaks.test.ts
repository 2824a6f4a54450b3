import { request } from 'node:http'
import { isDeepStrictEqual } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { FakeClock, ScriptedUpstream, steps } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { MERGE, PARALLEL_TASKS, RELAY, startGateway, startWorker } from './services.ts'

const RUNS = 500
const CONNECTIONS = 5_000
/** Clients at a time. */
const CLIENTS = 100
/** What the collected heap may differ by from round to round: code that is optimised, caches that fill. */
const HEAP_TOLERANCE = 0.015

/** Reproducible chance (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), 1 | state)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Where a client hangs up: before the answer, with its head, or after so many chunks. */
type Moment = 'at once' | 'head' | number

interface Visit {
  readonly url: string
  readonly body?: unknown
  readonly leave: Moment
}

/** Opens a connection of its own and drops it at the moment. Resolves once it is gone. */
function visit({ url, body, leave }: Visit): Promise<void> {
  return new Promise((resolve) => {
    const method = body === undefined ? 'GET' : 'POST'
    const client = request(url, { method, agent: false, headers: { 'content-type': 'application/json' } })
    client.on('error', () => undefined).on('close', () => resolve())
    client.on('response', (answer) => {
      let chunks = 0
      answer.on('error', () => undefined)
      if (leave === 'head') client.destroy()
      else answer.on('data', () => ++chunks === leave && client.destroy())
    })
    client.end(body === undefined ? undefined : JSON.stringify(body))
    if (leave === 'at once') setImmediate(() => client.destroy())
  })
}

async function each<T>(items: readonly T[], use: (item: T) => Promise<void>): Promise<void> {
  const left = items.values()
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      for (const item of left) await use(item)
    }),
  )
}

/** Turns the event loop until it holds: what was closed takes its turns to be gone. */
async function eventually(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const until = performance.now() + 10_000
  while (!(await holds())) {
    if (performance.now() > until) throw new Error(`${what} did not come about`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

async function startAll() {
  const clock = new FakeClock()
  const upstream = await ScriptedUpstream.start()
  upstream
    .script('/json', [steps.answer(200, { 'content-type': 'application/json' }, '{"ok":true}')])
    .script('/stream', [
      steps.frame({ event: 'tick', data: 1 }),
      steps.frame({ event: 'tick', data: 2 }),
      steps.end(),
    ])
    .script('/breaks', [steps.frame({ event: 'tick', data: 1 }), steps.destroy()])
  const worker = await startWorker({ clock })
  const gateway = await startGateway({ clock, workers: [worker], upstreams: [upstream] })
  return {
    clock,
    upstream,
    worker,
    gateway,
    async [Symbol.asyncDispose]() {
      await gateway.close()
      await worker.close()
      await upstream.close()
    },
  }
}

type Services = Awaited<ReturnType<typeof startAll>>

/** What comes and goes by itself, and the timers of the test runner; ours are counted by the clock. */
const PASSING = new Set(['CloseReq', 'Immediate', 'Timeout'])

/** What is held, counted wherever something is. */
async function held({ clock, worker, gateway }: Services) {
  const ofBoth = [worker, gateway].map(({ deps }) => [
    deps.runs.size,
    deps.runs.runningCount,
    deps.streams.size,
  ])
  const resources = process.getActiveResourcesInfo().filter((name) => !PASSING.has(name))
  return {
    runsAndStreams: ofBoth,
    mirrors: gateway.deps.mirrors.size,
    connections: gateway.deps.hub.local.count(),
    users: gateway.deps.hub.local.status(),
    loads: gateway.deps.pool.workers.map(({ load }) => load),
    scheduler: [
      worker.deps.scheduler.activeCount,
      worker.deps.scheduler.originCount,
      worker.deps.scheduler.laneCount,
    ],
    logs: [
      (await worker.deps.store.list({ limit: 100_000 })).length,
      (await gateway.deps.store.list({ limit: 100_000 })).length,
    ],
    timers: clock.timerCount,
    resources: resources.toSorted(),
  }
}

/** The visits of one round: which, and when each leaves, is chance. */
function plan(
  { upstream, worker, gateway }: Services,
  random: () => number,
): { runs: Visit[]; connections: Visit[] } {
  const pick = <T>(...choices: readonly [T, ...T[]]): T =>
    choices[Math.floor(random() * choices.length)] ?? choices[0]
  const moment = (): Moment => pick<Moment>('at once', 'head', 1, 2, 3, 5)
  const tasks = () => ({
    tasks: Array.from({ length: 1 + Math.floor(random() * 4) }, () => ({
      url: upstream.url + pick('/json', '/404'),
    })),
  })
  const streams = () => [`${upstream.url}/stream`, `${upstream.url}/breaks`]
  const aRun = (): Visit =>
    pick<() => Visit>(
      () => ({ url: `${worker.url}/api/sse/emitter/parallel-tasks`, body: tasks(), leave: moment() }),
      () => ({ url: gateway.url + PARALLEL_TASKS, body: tasks(), leave: moment() }),
      () => ({
        url: gateway.url + RELAY,
        body: { endpoint: pick('', ...streams()) || `${upstream.url}/404` },
        leave: moment(),
      }),
      () => ({ url: gateway.url + MERGE, body: streams(), leave: moment() }),
    )()
  const aConnection = (): Visit => {
    const groups = Array.from({ length: Math.floor(random() * 3) }, () => `g${Math.floor(random() * 50)}`)
    const token = pick('alice-token', 'bob-token', 'test-token')
    return {
      url: `${gateway.url}/api/sse/managed/connect?token=${token}&groups=${groups}`,
      leave: pick<Moment>('at once', 'head', 1),
    }
  }
  return {
    runs: Array.from({ length: RUNS }, aRun),
    connections: Array.from({ length: CONNECTIONS }, aConnection),
  }
}

/** All visits; then every run over, and what is kept for a time past that time. */
async function round(services: Services, random: () => number): Promise<void> {
  const { clock, worker, gateway } = services
  const { runs, connections } = plan(services, random)
  await Promise.all([each(runs, visit), each(connections, visit)])
  const both = [worker, gateway]
  await eventually('the end of all runs', () => both.every(({ deps }) => deps.runs.runningCount === 0))
  await eventually('the end of all streams', () => both.every(({ deps }) => deps.streams.size === 0))
  await eventually('the end of all requests', async () => (await gateway.connectionCount()) === 0)
  // A day later.
  clock.advance(86_400_000 + 60_000)
  await eventually('the end of all mirrors', () => gateway.deps.mirrors.size === 0)
  await eventually('the end of retention', () => both.every(({ deps }) => deps.runs.size === 0))
  // What the gateway and the worker keep open for their next request; a stream would stay.
  worker.closeIdleConnections()
  services.upstream.disconnectAll()
}

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

async function collectedHeap(): Promise<number> {
  for (let turn = 0; turn < 5; turn++) {
    collect()
    await new Promise(setImmediate)
  }
  return process.memoryUsage().heapUsed
}

describe('500 runs and 5,000 connections, dropped at random moments', () => {
  it('leave nothing behind', { timeout: 120_000 }, async ({ annotate }) => {
    const seed = Number(process.env.LEAK_SEED ?? Date.now() % 1_000_000)
    await annotate(`LEAK_SEED=${seed}`)
    const random = seeded(seed)
    await using services = await startAll()
    const before = await held(services)
    const heaps: number[] = []
    for (let turn = 1; turn <= 3; turn++) {
      await round(services, random)
      const isBack = async () => isDeepStrictEqual(await held(services), before)
      await eventually('what was held before', isBack).catch(() => undefined)
      expect(await held(services), `round ${turn}, LEAK_SEED=${seed}`).toEqual(before)
      for (const { requests } of [services.upstream, services.worker, services.gateway]) requests.length = 0
      heaps.push(await collectedHeap())
    }
    expect(services.gateway.deps.remoteRuns.rememberedCount).toBeLessThanOrEqual(50_000)
    const [, second = 0, third = 0] = heaps
    await annotate(`heaps ${heaps}`)
    expect(third, `LEAK_SEED=${seed} heaps ${heaps}`).toBeLessThan(second * (1 + HEAP_TOLERANCE))
  })
})
