import { steps } from '@tributary/testkit'
import { expect, it, onTestFinished } from 'vitest'
import { RunMirror } from '../src/relay/run-mirror.ts'
import { runFrame, type Script, scriptedWorkers } from './scripted-workers.ts'

const RUN = 'run_1'
const INFO = {
  load: { activeTasks: 0, waitingTasks: 0, runs: 0, loopDelayMs: 0 },
  simulates: false,
  draining: false,
}

const tick = (n: number) => runFrame(RUN, n, 'tick', n)

/** Workers that share their runs, and the mirror of one, read from the first. */
async function mirrored(...scripts: [Script, ...Script[]]) {
  const { upstreams, worker, workers, pool, clock, settings } = await scriptedWorkers(RUN, ...scripts)
  for (const each of workers) each.note(INFO)
  const mirror = new RunMirror({
    ...settings,
    runId: RUN,
    worker,
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
