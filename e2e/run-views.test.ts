import { dataOf, EventCollector, FakeClock, ScriptedUpstream, steps } from '@tributary/testkit'
import { expect, it } from 'vitest'
import { PARALLEL_TASKS, runIdOf, startGateway, startWorker } from './services.ts'

it('a run ended when its worker says so, also where that is away by now and the gateway heard of it late', async () => {
  await using api = await ScriptedUpstream.start()
  api.script('/now', [steps.answer(200, { 'content-type': 'application/json' }, '{"ok":true}')])
  const endedAt = Date.UTC(2026, 4, 1)
  await using worker = await startWorker({ clock: new FakeClock(endedAt) })
  await using gateway = await startGateway({ clock: new FakeClock(endedAt + 60_000), workers: [worker] })
  const body = { tasks: [{ url: `${api.url}/now` }] }
  await using reader = await EventCollector.open(gateway.url + PARALLEL_TASKS, { body })
  expect(await dataOf(reader, 'complete')).toMatchObject({ status: 'succeeded' })
  await worker.close()
  const view = await fetch(`${gateway.url}/api/runs/${runIdOf(reader)}`)
  expect(await view.json()).toMatchObject({ status: 'succeeded', successCount: 1, endedAt })
})
