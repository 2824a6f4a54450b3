import { dataOf, EventCollector, ScriptedUpstream, steps } from '@tributary/testkit'
import { describeWithRedis } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { HYBRID, PARALLEL_TASKS, postJson, runIdOf } from '../services.ts'
import { wholeOf } from '../whole-run.ts'
import { RelayNodes } from './relay-nodes.ts'

const answer = steps.answer(200, { 'content-type': 'application/json' }, '{}')

/** The workers that a gateway knows, by their addresses. */
async function workersOf({ url }: { readonly url: string }): Promise<string[]> {
  const health = await fetch(`${url}/api/sse/health?details=true`)
  const { details } = Object(await health.json())
  return details.upstreams.map((upstream: { url: string }) => upstream.url).toSorted()
}

describeWithRedis('the workers of a cluster', (redis) => {
  it('stand in for one that is killed while both gateways read its run', async () => {
    const late = Promise.withResolvers<void>()
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/now', [answer]).script('/held', [steps.until(late.promise), answer])
    await using nodes = await RelayNodes.start({ redis, upstream, workers: 2 })
    const [one, other] = nodes.gateways
    const tasks = ['now', 'held'].map((id) => ({ id, url: `${upstream.url}/${id}` }))
    await using first = await EventCollector.open(one.url + PARALLEL_TASKS, { body: { tasks } })
    await using second = await EventCollector.open(`${other.url}/api/runs/${runIdOf(first)}/events`)
    await Promise.all([first, second].map((reader) => reader.waitFor('task_complete')))
    await upstream.waitForRequest('/held')
    // One of them executes it, one or both are read from: whichever it is, the other one has all of it.
    await nodes.workers[0]?.kill()
    late.resolve()
    await Promise.all([first.ended, second.ended])
    for (const reader of [first, second]) {
      wholeOf(reader)
      expect(reader.ofType('source_unavailable').length).toBeLessThanOrEqual(1)
      expect(await dataOf(reader, 'complete')).toMatchObject({ status: 'succeeded', successCount: 2 })
    }
  })

  it('are used as soon as they are there, and no more once they have left', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/now', [answer])
    await using nodes = await RelayNodes.start({ redis, upstream, workers: 1 })
    const [gateway] = nodes.gateways
    const [configured] = nodes.workers
    const added = await nodes.addWorker()
    await expect
      .poll(() => workersOf(gateway), { timeout: 20_000 })
      .toEqual([configured?.url, added.url].toSorted())
    await configured?.stop()
    await expect.poll(() => workersOf(gateway), { timeout: 20_000 }).toEqual([added.url])
    const body = { tasks: [{ id: 'a', url: `${upstream.url}/now` }] }
    await using reader = await EventCollector.open(gateway.url + PARALLEL_TASKS, { body })
    await reader.ended
    expect(await dataOf(reader, 'complete')).toMatchObject({ status: 'succeeded' })
    expect(reader.ofType('source_unavailable')).toEqual([])
    const health = await fetch(`${gateway.url}/api/sse/health`)
    const { components } = Object(await health.json())
    expect(Object.keys(components).filter((name) => name.startsWith('worker-'))).toEqual(['worker-1'])
    expect(components['worker-1']).toEqual({ status: 'ok' })
  })

  it('hear of a cancel that was owed by a gateway that is killed before they are back', async () => {
    const late = Promise.withResolvers<void>()
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/held', [steps.until(late.promise), answer])
    await using nodes = await RelayNodes.start({ redis, upstream, workers: 1 })
    const [one, other] = nodes.gateways
    const body = { remoteTasks: [{ id: 'a', url: `${upstream.url}/held` }] }
    const started = await postJson(one.url + HYBRID, body, { accept: 'application/json' })
    const { runId } = Object(await started.json())
    await upstream.waitForRequest('/held')
    const list = await fetch(`${one.url}/api/runs?kind=parallel-tasks`)
    const [{ runId: remoteId }] = Object(await list.json()).runs
    await nodes.workers[0]?.kill()
    const cancelled = await postJson(`${one.url}/api/runs/${runId}/cancel`, {})
    expect(await cancelled.json()).toMatchObject({ status: 'cancelled', cancelled: true })
    await one.kill()
    await nodes.addWorker()
    const stateOf = async () => Object(await (await fetch(`${other.url}/api/runs/${remoteId}`)).json()).status
    await expect.poll(stateOf, { timeout: 40_000 }).toBe('cancelled')
    late.resolve()
  })
})
