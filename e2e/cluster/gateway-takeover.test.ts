import { allDataOf, dataOf, EventCollector, ScriptedUpstream, steps } from '@tributary/testkit'
import { describeWithRedis } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { NumberedStream } from '../numbered-stream.ts'
import { HYBRID, MERGE, postJson, RELAY, runIdOf } from '../services.ts'
import { ofSource, readOn, upTo, wholeOf } from '../whole-run.ts'
import { freeze, RelayNodes } from './relay-nodes.ts'

const eventsOf = (url: string, reader: EventCollector) =>
  EventCollector.open(`${url}/api/runs/${runIdOf(reader)}/events`)

describeWithRedis('a gateway of two that is killed', (redis) => {
  it('hands a merge over to the other, whose readers go on and get all of each source once', async () => {
    await using upstream = await ScriptedUpstream.start()
    await using nodes = await RelayNodes.start({ redis, upstream, workers: 2 })
    const [one, other] = nodes.gateways
    const ticks = new NumberedStream(upstream, '/ticks', { total: 60 })
    const flow = (count: number) => `/api/sse/flow-example?count=${count}&intervalMs=100`
    const endpoint = `${upstream.url}/ticks`
    await using first = await EventCollector.open(one.url + MERGE, {
      body: [flow(80), flow(60), { name: 'ticks', endpoint }],
    })
    await using follower = await eventsOf(other.url, first)
    ticks.release(20)
    await Promise.all([
      first.waitForCount('flow_item', 6),
      first.waitForCount('tick', 20),
      follower.waitForCount('tick', 20),
    ])
    await one.kill()
    ticks.release()
    // Who was at the dead one comes back to the other, with its cursor.
    await using second = await readOn(other.url, first)
    await Promise.all([second.ended, follower.ended])
    for (const events of [wholeOf(follower), wholeOf(first, second)]) {
      expect(ofSource(events, 'tick', 'ticks').map(({ n }) => n)).toEqual(upTo(60))
      for (const count of [80, 60]) {
        expect(ofSource(events, 'flow_item', flow(count)).map(({ step }) => step)).toEqual(upTo(count))
      }
    }
    expect(await dataOf(follower, 'complete')).toMatchObject({ status: 'succeeded', successCount: 3 })
    // Resumed, not begun again.
    expect(upstream.requests.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '20'])
    expect(Object(await (await fetch(`${other.url}/api/runs?kind=flow`)).json()).runs).toHaveLength(2)
  })

  it('hands over the relay of a foreign stream that sends ids, where it was', async () => {
    await using upstream = await ScriptedUpstream.start()
    await using nodes = await RelayNodes.start({ redis, upstream })
    const [one, other] = nodes.gateways
    const ticks = new NumberedStream(upstream, '/ticks', { total: 500 })
    const endpoint = `${upstream.url}/ticks`
    await using first = await EventCollector.open(one.url + RELAY, { body: { endpoint } })
    await using follower = await eventsOf(other.url, first)
    ticks.release(400)
    await Promise.all([first.waitFor('tick'), follower.waitFor('tick')])
    await one.kill()
    ticks.release()
    await using second = await readOn(other.url, first)
    await Promise.all([second.ended, follower.ended])
    for (const events of [wholeOf(follower), wholeOf(first, second)]) {
      expect(ofSource(events, 'tick', endpoint).map(({ n }) => n)).toEqual(upTo(500))
    }
    expect(upstream.requests).toHaveLength(2)
  })

  it('ends the relay of a POST, which is never sent twice', async () => {
    await using upstream = await ScriptedUpstream.start()
    await using nodes = await RelayNodes.start({ redis, upstream })
    const [one, other] = nodes.gateways
    new NumberedStream(upstream, '/ticks', { total: 3 }).release(2)
    const endpoint = `${upstream.url}/ticks`
    await using first = await EventCollector.open(one.url + RELAY, { body: { endpoint, method: 'POST' } })
    await using follower = await eventsOf(other.url, first)
    await Promise.all([first.waitForCount('tick', 2), follower.waitForCount('tick', 2)])
    await one.kill()
    await follower.ended
    wholeOf(follower)
    expect(allDataOf(follower, 'source_error')).toMatchObject([
      { source: endpoint, code: 'worker_lost', error: expect.stringContaining('not sent twice') },
    ])
    expect(await dataOf(follower, 'complete')).toMatchObject({ status: 'failed', errorCount: 1 })
    expect(upstream.requests).toHaveLength(1)
  })

  it('hands over a hybrid run: what had begun there by its rule, what is remote where it was', async () => {
    const late = Promise.withResolvers<void>()
    await using upstream = await ScriptedUpstream.start()
    await using nodes = await RelayNodes.start({ redis, upstream, workers: 2 })
    const [one, other] = nodes.gateways
    const answer = steps.answer(200, { 'content-type': 'application/json' }, '{}')
    upstream
      .script('/now', [answer])
      .script('/again', [], [answer])
      .script('/once', [], [answer])
      .script('/far', [steps.until(late.promise), answer])
    const ask = (id: string, idempotent: boolean) => ({
      id,
      name: 'Ask',
      input: { url: `${upstream.url}/${id}` },
      idempotent,
    })
    await using first = await EventCollector.open(one.url + HYBRID, {
      body: {
        localTasks: [ask('now', false), ask('again', true), ask('once', false)],
        remoteTasks: ['now', 'far'].map((path) => ({ id: `r-${path}`, url: `${upstream.url}/${path}` })),
      },
    })
    await using follower = await eventsOf(other.url, first)
    await Promise.all(['/again', '/once', '/far'].map((path) => upstream.waitForRequest(path)))
    await Promise.all([first, follower].map((reader) => reader.waitForCount('task_complete', 2)))
    await one.kill()
    late.resolve()
    await using second = await readOn(other.url, first)
    await Promise.all([second.ended, follower.ended])
    for (const events of [wholeOf(follower), wholeOf(first, second)]) {
      const finals = events.filter(({ type }) => type === 'task_complete' || type === 'task_error')
      expect(finals.map(({ data }) => Object(data).taskId).toSorted()).toEqual([
        'again',
        'now',
        'once',
        'r-far',
        'r-now',
      ])
    }
    expect(allDataOf(follower, 'task_error')).toMatchObject([{ taskId: 'once', code: 'worker_lost' }])
    expect(allDataOf(follower, 'task_retry')).toMatchObject([{ taskId: 'again', attempt: 2 }])
    expect(await dataOf(follower, 'complete')).toMatchObject({ status: 'partial', successCount: 4 })
    expect(upstream.requestsTo('/once')).toHaveLength(1)
    expect(upstream.requestsTo('/far')).toHaveLength(1)
  })
})

describeWithRedis('a gateway of two that is frozen', (redis) => {
  it('is refused when it comes back, and lets go of what it read', async () => {
    await using upstream = await ScriptedUpstream.start()
    await using nodes = await RelayNodes.start({ redis, upstream })
    const [one, other] = nodes.gateways
    const ticks = new NumberedStream(upstream, '/ticks', { total: 90 })
    const endpoint = `${upstream.url}/ticks`
    await using first = await EventCollector.open(one.url + RELAY, { body: { endpoint } })
    await using follower = await eventsOf(other.url, first)
    ticks.release(30)
    await Promise.all([first.waitForCount('tick', 30), follower.waitForCount('tick', 30)])
    const [frozen] = upstream.requests
    {
      using _ = freeze(one)
      await upstream.waitForRequest('/ticks', 2)
      ticks.release(60)
      await follower.waitForCount('tick', 60)
    }
    await frozen?.closed
    ticks.release()
    // Its own reader is still there, and reads on what the other appends.
    await Promise.all([first.ended, follower.ended])
    for (const reader of [first, follower]) {
      expect(ofSource(wholeOf(reader), 'tick', endpoint).map(({ n }) => n)).toEqual(upTo(90))
    }
    expect(upstream.requests).toHaveLength(2)
  })
})

describeWithRedis('a run that one gateway of two executes', (redis) => {
  it('is told, listed and cancelled by the other', async () => {
    await using upstream = await ScriptedUpstream.start()
    await using nodes = await RelayNodes.start({ redis, upstream })
    const [one, other] = nodes.gateways
    new NumberedStream(upstream, '/ticks', { total: 3 }).release(1)
    await using reader = await EventCollector.open(one.url + RELAY, {
      body: { endpoint: `${upstream.url}/ticks` },
    })
    await reader.waitFor('tick')
    const runId = runIdOf(reader)
    const url = `${other.url}/api/runs/${runId}`
    expect(await (await fetch(url)).json()).toMatchObject({ runId, kind: 'relay', status: 'running' })
    const page = await fetch(`${url}/events`, { headers: { accept: 'application/json' } })
    expect(Object(await page.json()).events).toMatchObject([{ type: 'tick' }])
    for (const gateway of nodes.gateways) {
      expect(Object(await (await fetch(`${gateway.url}/api/runs`)).json()).runs).toMatchObject([{ runId }])
    }
    const cancelled = await postJson(`${url}/cancel`, {})
    expect(await cancelled.json()).toMatchObject({ runId, status: 'cancelled', cancelled: true })
    await reader.ended
    expect(await dataOf(reader, 'complete')).toMatchObject({ status: 'cancelled' })
    await upstream.requests[0]?.closed
  })

  it('tells its readers at the other, too, that a source is away', async () => {
    const cut = Promise.withResolvers<void>()
    await using upstream = await ScriptedUpstream.start()
    await using nodes = await RelayNodes.start({ redis, upstream })
    const [one, other] = nodes.gateways
    const tick = (n: number) => steps.frame({ id: String(n), event: 'tick', data: { n } })
    upstream.script('/ticks', [tick(1), steps.until(cut.promise), steps.destroy()], [steps.answer(503)])
    const endpoint = `${upstream.url}/ticks`
    await using first = await EventCollector.open(one.url + RELAY, { body: { endpoint } })
    await using follower = await eventsOf(other.url, first)
    await follower.waitFor('tick')
    cut.resolve()
    for (const reader of [first, follower]) {
      const told = await reader.waitFor('source_unavailable')
      expect(told.id).toBeUndefined()
      expect(told.data).toMatchObject({ source: endpoint, retryable: true })
    }
    upstream.script('/ticks', [tick(2), steps.end()])
    await Promise.all([first.ended, follower.ended])
    for (const reader of [first, follower]) {
      expect(ofSource(wholeOf(reader), 'tick', endpoint).map(({ n }) => n)).toEqual([1, 2])
      expect(reader.ofType('source_unavailable')).toHaveLength(1)
    }
  })

  it('is the answer of both to the same key, whichever is asked again', async () => {
    await using upstream = await ScriptedUpstream.start()
    await using nodes = await RelayNodes.start({ redis, upstream, workers: 2 })
    new NumberedStream(upstream, '/ticks', { total: 3 }).release(1)
    const headers = { 'idempotency-key': 'one', accept: 'application/json' }
    const own = { path: RELAY, body: { endpoint: `${upstream.url}/ticks` } }
    const remote = {
      path: '/api/sse-proxy/reactive/parallel-tasks/sse-emitter',
      body: { tasks: [{ id: 'a', url: `${upstream.url}/a` }] },
    }
    for (const { path, body } of [own, remote]) {
      const answers = await Promise.all(nodes.gateways.map(({ url }) => postJson(url + path, body, headers)))
      const runs = await Promise.all(answers.map((answer) => answer.json()))
      expect(new Set(runs.map((run) => Object(run).runId)).size).toBe(1)
      expect(answers.map(({ status }) => status)).toEqual([202, 202])
      const replayed = answers.map((answer) => answer.headers.get('idempotent-replayed'))
      expect(replayed.toSorted()).toEqual([null, 'true'].toSorted())
    }
    expect(upstream.requestsTo('/ticks')).toHaveLength(1)
    const [{ url }] = nodes.gateways
    const other = await postJson(url + RELAY, { ...own.body, method: 'POST' }, headers)
    expect(other.status).toBe(422)
  })

  it('is in the list of both once, newest first, page by page', async () => {
    await using upstream = await ScriptedUpstream.start()
    await using nodes = await RelayNodes.start({ redis, upstream, workers: 2 })
    new NumberedStream(upstream, '/ticks', { total: 3 }).release(1)
    const started: string[] = []
    for (let round = 0; round < 3; round += 1) {
      for (const { url } of nodes.gateways) {
        const path = round === 1 ? '/api/sse-proxy/reactive/parallel-tasks/sse-emitter' : RELAY
        const body = round === 1 ? { tasks: ['Any'] } : { endpoint: `${upstream.url}/ticks` }
        const answer = await postJson(url + path, body, { accept: 'application/json' })
        started.unshift(Object(await answer.json()).runId)
      }
    }
    const seen: string[] = []
    let after = ''
    for (let page = 0; page < 20; page += 1) {
      // Each page from another.
      const { url } = nodes.gateways[page % 2 === 0 ? 0 : 1]
      const answer = await fetch(`${url}/api/runs?limit=2${after}`)
      const { runs, next } = Object(await answer.json())
      seen.push(...runs.map(({ runId }: { runId: string }) => runId))
      if (next === undefined) break
      after = `&after=${next}`
    }
    expect(seen).toEqual(started)
  })
})
