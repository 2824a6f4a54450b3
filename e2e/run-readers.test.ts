import { EventCollector, FakeClock, ScriptedUpstream } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { HYBRID, PARALLEL_TASKS, runIdOf, startGateway, startWorker } from './services.ts'

/** An API whose `/held` never answers. */
async function startApi() {
  const upstream = await ScriptedUpstream.start()
  return upstream.route('/held', () => undefined)
}

/** Waits turn by turn until it is so. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(setImmediate)
}

describe('a run that ends with its readers', () => {
  it('on a worker ends a grace after the gateway has let go of it, and not while one may come back', async () => {
    const clocks = { gateway: new FakeClock(), worker: new FakeClock() }
    await using api = await startApi()
    await using worker = await startWorker({ clock: clocks.worker, env: { DISCONNECT_GRACE_MS: '5000' } })
    await using gateway = await startGateway({ clock: clocks.gateway, workers: [worker] })
    const body = { onDisconnect: 'cancel', tasks: [{ url: `${api.url}/held` }] }
    const reader = await EventCollector.open(gateway.url + PARALLEL_TASKS, { body })
    const runId = runIdOf(reader)
    const read = () => EventCollector.open(`${gateway.url}/api/runs/${runId}/events`)
    const { closed } = await api.waitForRequest('/held')
    const view = async () => (await fetch(`${gateway.url}/api/runs/${runId}`)).json()
    /** Lets go of the run at the gateway, where nobody reads it. */
    const idle = async (ms: number) => {
      await until(() => gateway.deps.streams.size === 0)
      clocks.gateway.advance(ms)
    }

    // One of two is enough, for however long.
    const second = await read()
    await reader.close()
    await until(() => gateway.deps.streams.size === 1)
    clocks.gateway.advance(20_000)
    expect(gateway.deps.mirrors.size).toBe(1)

    // All have left, and one is back before the gateway has let go.
    await second.close()
    await idle(9_999)
    const third = await read()
    clocks.gateway.advance(20_000)
    expect([gateway.deps.mirrors.size, worker.deps.streams.size]).toEqual([1, 1])

    // The gateway has let go, and one is back before the worker's grace is over.
    await third.close()
    await idle(10_000)
    await until(() => worker.deps.streams.size === 0)
    clocks.worker.advance(4_999)
    const fourth = await read()
    clocks.worker.advance(5_000)
    expect(await view()).toMatchObject({ status: 'running' })

    await fourth.close()
    await idle(10_000)
    await until(() => worker.deps.streams.size === 0)
    clocks.worker.advance(4_999)
    expect(await view()).toMatchObject({ status: 'running' })
    clocks.worker.advance(1)
    await closed
    await (await worker.deps.runs.get(runId))?.ended
    expect(await view()).toMatchObject({ status: 'cancelled', endedAt: clocks.worker.now() })
  })

  it('on both sides ends on both', async () => {
    await using api = await startApi()
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker], env: { DISCONNECT_GRACE_MS: '50' } })
    const body = { onDisconnect: 'cancel', remoteTasks: [{ url: `${api.url}/held` }] }
    const reader = await EventCollector.open(gateway.url + HYBRID, { body })
    const runId = runIdOf(reader)
    const { closed } = await api.waitForRequest('/held')
    await reader.close()
    await closed
    await (await gateway.deps.runs.get(runId))?.ended
    const view = await fetch(`${gateway.url}/api/runs/${runId}`)
    expect(await view.json()).toMatchObject({ status: 'cancelled' })
  })
})
