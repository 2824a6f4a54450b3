import { AddressPolicy, OutboundClient } from '@tributary/outbound'
import { FakeClock, ScriptedUpstream, steps } from '@tributary/testkit'
import { expect, it, onTestFinished } from 'vitest'
import { RunMirror } from '../src/relay/run-mirror.ts'
import { Worker } from '../src/relay/worker.ts'
import { WorkerPool } from '../src/relay/worker-pool.ts'

const RUN = 'run_1'
const EVENTS = `/api/runs/${RUN}/events`
const INFO = {
  load: { activeTasks: 0, waitingTasks: 0, runs: 0, loopDelayMs: 0 },
  simulates: false,
  draining: false,
}

type Steps = Parameters<ScriptedUpstream['script']>[1]

const tick = (n: number) => {
  const id = `${RUN}.1000-${n}`
  const head = { id, type: 'tick', timestamp: 1_000, priority: 'normal', source: 'worker', version: '1' }
  return steps.frame({ id, event: 'tick', data: { ...head, data: n } })
}

/** Workers that share their runs, and the mirror of one, read from the first. */
async function mirrored(...scripts: readonly Steps[][]) {
  const upstreams = await Promise.all(scripts.map(() => ScriptedUpstream.start()))
  onTestFinished(async () => {
    await Promise.all(upstreams.map((upstream) => upstream.close()))
  })
  upstreams.forEach((upstream, index) => {
    upstream.script(EVENTS, ...(scripts[index] ?? []))
  })
  const clock = new FakeClock()
  const client = new OutboundClient({ policy: new AddressPolicy({ allow: ['127.0.0.1'] }) })
  onTestFinished(() => client.close())
  const workers = upstreams.map(({ url }) => new Worker({ url, client, now: () => clock.now() }))
  for (const worker of workers) worker.note(INFO)
  const pool = new WorkerPool({ listed: workers, shared: true, random: () => 0 })
  const [worker] = workers
  if (worker === undefined) throw new Error('no worker')
  const mirror = new RunMirror({
    runId: RUN,
    worker,
    pool,
    clock,
    random: () => 0,
    maxEvents: 1_000,
    maxEventChars: 100_000,
    heartbeatMs: 30_000,
    giveUpMs: 60_000,
    onComplete: () => undefined,
    onIdle: () => undefined,
  })
  onTestFinished(() => mirror.close())
  onTestFinished(mirror.hold())
  const away: boolean[] = []
  mirror.onAway((since) => away.push(since !== undefined))
  /** Resolves once it holds so many events. */
  const holds = async (n: number) => {
    const held = Promise.withResolvers<void>()
    const off = mirror.log.tail(({ position }) => {
      if (position.n >= n) held.resolve()
    })
    if (mirror.log.head.n >= n) held.resolve()
    await held.promise
    off()
  }
  const numbers = async () => (await mirror.log.read(0)).entries.map(({ position }) => position.n)
  return { mirror, workers, upstreams, pool, clock, away, holds, numbers }
}

it('goes on at another worker where the one that it read from breaks off, with its cursor', async () => {
  const told = Promise.withResolvers<void>()
  const { mirror, workers, upstreams, clock, away, holds, numbers } = await mirrored(
    [[tick(1), tick(2)]],
    [[tick(3), steps.until(told.promise)]],
  )
  onTestFinished(() => told.resolve())
  await holds(2)
  const broken = Promise.withResolvers<void>()
  mirror.onAway((since) => since !== undefined && broken.resolve())
  await upstreams[0]?.close()
  await broken.promise
  clock.advance(2_000)
  await holds(3)
  expect(await numbers()).toEqual([1, 2, 3])
  expect(upstreams[1]?.requests[0]?.headers['last-event-id']).toBe(`${RUN}.1000-2`)
  expect(away).toEqual([true, false])
  expect(mirror.worker).toBe(workers[1])
  expect(workers.map(({ load }) => load)).toEqual([0, 1])
})

it('goes on at another worker at once where the first takes no more', async () => {
  const told = Promise.withResolvers<void>()
  onTestFinished(() => told.resolve())
  const { away, holds, upstreams } = await mirrored(
    [[steps.answer(503, { 'retry-after': '60' })]],
    [[tick(1), steps.until(told.promise)]],
  )
  await holds(1)
  expect(away).toEqual([])
  expect(upstreams.map(({ requests }) => requests.length)).toEqual([1, 1])
})

it('does not wait for a worker whose lease has ended, though its connection stands', async () => {
  const told = Promise.withResolvers<void>()
  onTestFinished(() => told.resolve())
  const { mirror, workers, pool, clock, holds, numbers } = await mirrored(
    [[tick(1), steps.until(told.promise)]],
    [[tick(2), steps.until(told.promise)]],
  )
  await holds(1)
  const broken = Promise.withResolvers<void>()
  mirror.onAway((since) => since !== undefined && broken.resolve())
  pool.set(workers.slice(1))
  workers[0]?.note(undefined)
  await broken.promise
  clock.advance(2_000)
  await holds(2)
  expect(await numbers()).toEqual([1, 2])
})
