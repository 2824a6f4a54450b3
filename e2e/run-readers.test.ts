import { EventCollector, FakeClock, ScriptedUpstream } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { HYBRID, PARALLEL_TASKS, runIdOf, startGateway, startWorker } from './services.ts'

/** An API whose `/held` never answers. */
async function startApi() {
  const upstream = await ScriptedUpstream.start()
  return upstream.route('/held', () => undefined)
}

describe('a run that ends with its readers', () => {
  it('on a worker ends once the gateway has let go of it', async () => {
    const clock = new FakeClock()
    await using api = await startApi()
    await using worker = await startWorker({ env: { DISCONNECT_GRACE_MS: '50' } })
    await using gateway = await startGateway({ clock, workers: [worker] })
    const body = { onDisconnect: 'cancel', tasks: [{ url: `${api.url}/held` }] }
    const reader = await EventCollector.open(gateway.url + PARALLEL_TASKS, { body })
    const { closed } = await api.waitForRequest('/held')
    await reader.waitFor('task_start')
    await reader.close()
    // As soon as the gateway has noticed.
    const advancing = setInterval(() => clock.advance(1_000), 10)
    await closed
    clearInterval(advancing)
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
    await gateway.deps.runs.get(runId)?.ended
    const view = await fetch(`${gateway.url}/api/runs/${runId}`)
    expect(await view.json()).toMatchObject({ status: 'cancelled' })
  })
})
