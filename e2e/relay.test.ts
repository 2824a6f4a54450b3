import { readFile } from 'node:fs/promises'
import { allDataOf, dataOf, EventCollector, lastingPort, ScriptedUpstream, steps } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { startGateway as startGatewayProcess } from './processes.ts'
import { logged, MERGE, postJson, RELAY, runIdOf, startGateway, startWorker } from './services.ts'

const typesAndData = (reader: EventCollector) => logged(reader).map(({ type, data }) => [type, data])

const sourceOf = (data: unknown) =>
  typeof data === 'object' && data !== null && 'source' in data ? data.source : undefined

describe('a relay', () => {
  it('reads a foreign stream with the method and body given, and sends it once', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [
      steps.frame({ event: 'connection', data: { theirs: true } }),
      steps.frame({ id: '7', event: 'tick', data: { n: 1 } }),
      steps.frame({ data: 'plain text' }),
      steps.frame({ event: 'list', data: [1, 2] }),
      steps.frame({ event: 'heartbeat', data: {} }),
      steps.raw(': a comment\n\nunknown: field\ndata: two\ndata: lines\n\n'),
      steps.end(),
    ])
    await using gateway = await startGateway({ upstreams: [upstream] })
    const endpoint = `${upstream.url}/s?q=1`
    await using reader = await EventCollector.open(gateway.url + RELAY, {
      body: { endpoint, body: { ask: 'é' } },
    })
    await reader.ended
    const source = endpoint
    expect(typesAndData(reader).slice(0, -1)).toEqual([
      ['tick', { n: 1, source }],
      ['message', { source, data: 'plain text' }],
      ['list', { source, data: [1, 2] }],
      ['message', { source, data: 'two\nlines' }],
      ['source_complete', { source }],
    ])
    expect(await dataOf(reader, 'complete')).toMatchObject({
      status: 'succeeded',
      totalTasks: 1,
      successCount: 1,
    })
    expect(upstream.requests).toHaveLength(1)
    const [request] = upstream.requests
    expect(request).toMatchObject({ method: 'POST', body: '{"ask":"é"}' })
    expect(request?.headers).toMatchObject({
      accept: 'text/event-stream',
      'content-type': 'application/json',
    })
  })

  it('never sends a foreign POST twice, also where it breaks off', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [steps.frame({ id: '1', event: 'tick', data: 1 }), steps.destroy()])
    await using gateway = await startGateway({ upstreams: [upstream] })
    const endpoint = `${upstream.url}/s`
    await using reader = await EventCollector.open(gateway.url + RELAY, {
      body: { endpoint, method: 'POST' },
    })
    await reader.ended
    expect(typesAndData(reader).slice(0, 2)).toEqual([
      ['tick', { source: endpoint, data: 1 }],
      [
        'source_error',
        {
          source: endpoint,
          error: 'Connection reset',
          code: 'connection_reset',
          category: 'connection',
          recovery: 'retry',
        },
      ],
    ])
    expect(await dataOf(reader, 'complete')).toMatchObject({
      status: 'failed',
      errorCount: 1,
      errors: [{ taskId: endpoint, code: 'connection_reset' }],
    })
    expect(upstream.requests).toHaveLength(1)
  })

  it('resumes a foreign GET that sends ids where it broke', async () => {
    await using upstream = await ScriptedUpstream.start()
    const tick = (n: number) => steps.frame({ id: `n${n}`, event: 'tick', data: { n } })
    upstream.script(
      '/s',
      [steps.raw('retry: 1\n\n'), tick(1), tick(2), steps.raw('data: half'), steps.destroy()],
      [steps.answer(503)],
      [tick(3), steps.end()],
    )
    await using gateway = await startGateway({ upstreams: [upstream] })
    const endpoint = `${upstream.url}/s`
    await using reader = await EventCollector.open(gateway.url + RELAY, { body: { endpoint } })
    await reader.ended
    expect(reader.ofType('tick').map(({ data }) => Object(data).n)).toEqual([1, 2, 3])
    expect(upstream.requests.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, 'n2', 'n2'])
    expect(await dataOf(reader, 'complete')).toMatchObject({ status: 'succeeded' })
    const away = reader.ofType('source_unavailable')
    expect(away).toMatchObject([{ data: { source: endpoint, since: expect.any(Number), retryable: true } }])
    expect(away[0]?.id).toBeUndefined()
  })

  it('resumes a foreign stream that ended to be resumed, as ours do, without a word', async () => {
    await using upstream = await ScriptedUpstream.start()
    const tick = (n: number) => steps.frame({ id: `n${n}`, event: 'tick', data: { n } })
    const ends = (reason: string) =>
      steps.frame({ event: 'disconnected', data: { reason, reconnect: true }, retryMs: 1 })
    upstream.script(
      '/s',
      [tick(1), ends('timeout'), steps.end()],
      [tick(2), ends('drain'), steps.end()],
      [tick(3), steps.end()],
    )
    await using gateway = await startGateway({ upstreams: [upstream] })
    await using reader = await EventCollector.open(gateway.url + RELAY, {
      body: { endpoint: `${upstream.url}/s` },
    })
    await reader.ended
    expect(reader.ofType('tick').map(({ data }) => Object(data).n)).toEqual([1, 2, 3])
    expect(reader.ofType('source_unavailable')).toEqual([])
    expect(await dataOf(reader, 'complete')).toMatchObject({ status: 'succeeded' })
  })

  it('begins a foreign GET anew that broke before it said anything, and no other', async () => {
    await using upstream = await ScriptedUpstream.start()
    const tick = steps.frame({ event: 'tick', data: { n: 1 } })
    upstream.script('/s', [steps.raw(': hello\n\n'), steps.destroy()], [steps.destroy()], [tick, steps.end()])
    upstream.script('/t', [tick, steps.destroy()])
    await using gateway = await startGateway({ upstreams: [upstream] })
    await using reader = await EventCollector.open(gateway.url + RELAY, {
      body: { endpoint: `${upstream.url}/s` },
    })
    await reader.ended
    expect(reader.ofType('tick')).toHaveLength(1)
    expect(await dataOf(reader, 'complete')).toMatchObject({ status: 'succeeded' })
    await using other = await EventCollector.open(gateway.url + RELAY, {
      body: { endpoint: `${upstream.url}/t` },
    })
    await other.ended
    expect(await dataOf(other, 'source_error')).toMatchObject({ code: 'connection_reset' })
    expect(upstream.requests.map(({ path }) => path)).toEqual(['/s', '/s', '/s', '/t'])
  })

  it('gives up a foreign GET that stays away, and says so', async () => {
    await using upstream = await ScriptedUpstream.start()
    const begin = [
      steps.raw('retry: 1\n\n'),
      steps.frame({ id: '1', event: 'tick', data: 1 }),
      steps.destroy(),
    ]
    upstream.script('/s', begin, [steps.answer(503)])
    await using gateway = await startGateway({ upstreams: [upstream], env: { UPSTREAM_GIVE_UP_MS: '600' } })
    const endpoint = `${upstream.url}/s`
    await using reader = await EventCollector.open(gateway.url + RELAY, { body: { endpoint } })
    await reader.ended
    expect(reader.ofType('tick')).toHaveLength(1)
    expect(await dataOf(reader, 'source_error')).toEqual({
      source: endpoint,
      code: 'http_5xx',
      category: 'server',
      recovery: 'retry',
      error: 'The answer was HTTP 503',
    })
  })

  it('of a worker is its run, under its own ids', async () => {
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    const endpoint = '/api/sse/flow-example?count=3&intervalMs=1'
    await using reader = await EventCollector.open(gateway.url + RELAY, { body: { endpoint } })
    await reader.ended
    await using direct = await EventCollector.open(`${worker.url}/api/runs/${runIdOf(reader)}/events`)
    await direct.ended
    expect(logged(reader)).toEqual(logged(direct))
    // And so is the relay of a run that is there already.
    const body = { endpoint: `/api/runs/${runIdOf(reader)}/events` }
    await using again = await EventCollector.open(gateway.url + RELAY, { body })
    await again.ended
    expect(logged(again)).toEqual(logged(direct))
    expect(worker.deps.runs.size).toBe(1)
  })

  it('ends its upstream when it is cancelled', async () => {
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [steps.frame({ event: 'tick', data: 1 })])
    await using gateway = await startGateway({ upstreams: [upstream] })
    const endpoint = `${upstream.url}/s`
    await using reader = await EventCollector.open(gateway.url + RELAY, { body: { endpoint } })
    await reader.waitFor('tick')
    await postJson(`${gateway.url}/api/runs/${runIdOf(reader)}/cancel`, {})
    await upstream.requests[0]?.closed
    await reader.ended
    expect(await dataOf(reader, 'source_error')).toMatchObject({ source: endpoint, code: 'cancelled' })
    expect(await dataOf(reader, 'complete')).toMatchObject({ status: 'cancelled', errorCount: 1 })
  })

  it('goes on when its reader leaves, and is resumed without being begun again', async () => {
    const go = Promise.withResolvers<void>()
    await using upstream = await ScriptedUpstream.start()
    upstream.script('/s', [
      steps.frame({ event: 'tick', data: 1 }),
      steps.until(go.promise),
      steps.frame({ event: 'tick', data: 2 }),
      steps.end(),
    ])
    await using gateway = await startGateway({ upstreams: [upstream] })
    const reader = await EventCollector.open(gateway.url + RELAY, { body: { endpoint: `${upstream.url}/s` } })
    const { id } = await reader.waitFor('tick')
    await reader.close()
    go.resolve()
    await using rest = await EventCollector.open(`${gateway.url}/api/runs/${runIdOf(reader)}/events`, {
      headers: { 'last-event-id': String(id) },
    })
    await rest.ended
    expect(logged(rest).map(({ type }) => type)).toEqual(['tick', 'source_complete', 'complete'])
    expect(upstream.requests).toHaveLength(1)
  })

  it.each([
    ['another origin', 'http://example.com/', 403, 'origin_refused'],
    ['a file', 'file:///etc/passwd', 422, 'invalid_endpoint'],
    ['no address', 'api/sse', 422, 'invalid_endpoint'],
    ['another host in a path', '//example.com/x', 422, 'invalid_endpoint'],
    ['a path of backslashes', '/\\example.com/x', 422, 'invalid_endpoint'],
    ['credentials', 'http://u:p@example.com/', 422, 'invalid_endpoint'],
    ['a broken escape', '/api/runs/%zz/events', 422, 'invalid_endpoint'],
    ['nothing', '', 400, 'invalid_request'],
  ])('of %s is refused', async (_, endpoint, status, code) => {
    await using gateway = await startGateway()
    const answer = await postJson(gateway.url + RELAY, { endpoint })
    expect(answer.status).toBe(status)
    expect(await answer.json()).toMatchObject({ code })
    expect(gateway.deps.runs.size).toBe(0)
  })
})

describe('a merge', () => {
  it('keeps the order of each source, and tells one that fails while the others go on', async () => {
    const go = Promise.withResolvers<void>()
    await using upstream = await ScriptedUpstream.start()
    const ticks = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, index) =>
        steps.frame({ event: 'tick', data: { n: from + index } }),
      )
    upstream
      .script('/a', [...ticks(0, 20), steps.until(go.promise), ...ticks(20, 40), steps.end()])
      .script('/b', [...ticks(0, 3), steps.destroy()])
      .script('/c', [
        ...ticks(0, 30),
        steps.frame({ event: 'complete', data: { total: 30 } }),
        ...ticks(30, 31),
      ])
      .script('/d', [steps.answer(500)])
    await using gateway = await startGateway({ upstreams: [upstream] })
    const sources = ['a', 'b', 'c', 'd'].map((name) => ({ name, endpoint: `${upstream.url}/${name}` }))
    const refused = { name: 'e', endpoint: `http://127.0.0.1:${await lastingPort()}/` }
    const body = [...sources, refused]
    const refusal = await postJson(gateway.url + MERGE, body)
    expect(await refusal.json()).toMatchObject({ code: 'origin_refused', errors: [{ path: 'body/4' }] })
    await using reader = await EventCollector.open(gateway.url + MERGE, { body: sources })
    await reader.waitForCount('source_error', 2)
    await reader.waitFor('source_complete')
    go.resolve()
    await reader.ended
    const numbers = (source: string) =>
      reader.ofType('tick').flatMap(({ data }) => (sourceOf(data) === source ? [Object(data).n] : []))
    expect(numbers('a')).toEqual(Array.from({ length: 40 }, (_, n) => n))
    expect(numbers('b')).toEqual([0, 1, 2])
    expect(numbers('c')).toEqual(Array.from({ length: 30 }, (_, n) => n))
    expect(allDataOf(reader, 'source_complete')).toEqual([{ source: 'c', total: 30 }, { source: 'a' }])
    const failed = allDataOf(reader, 'source_error').map(({ source, code }) => [source, code])
    expect(failed.toSorted()).toEqual([
      ['b', 'connection_reset'],
      ['d', 'http_5xx'],
    ])
    expect(allDataOf(reader, 'complete')).toMatchObject([
      { status: 'partial', totalTasks: 4, successCount: 2, errorCount: 2 },
    ])
    expect(logged(reader).at(-1)?.type).toBe('complete')
  })

  it('of three endpoints of the worker tags and renames what they say', async () => {
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    const body = [1, 2, 3].map((count) => `/api/sse/flow-example?count=${count}&intervalMs=1`)
    await using reader = await EventCollector.open(gateway.url + MERGE, { body })
    await reader.ended
    for (const [index, source] of body.entries()) {
      const steps = reader.ofType('flow_item').filter(({ data }) => sourceOf(data) === source)
      expect(steps.map(({ data }) => Object(data).step)).toEqual([1, 2, 3].slice(0, index + 1))
    }
    expect(
      allDataOf(reader, 'source_complete')
        .map(({ source }) => source)
        .toSorted(),
    ).toEqual(body)
    expect(reader.ofType('connection')).toHaveLength(1)
    expect(allDataOf(reader, 'complete')).toMatchObject([
      { status: 'succeeded', totalTasks: 3, successCount: 3 },
    ])
    // One log of its own, with one numbering.
    const places = logged(reader).map(({ id }) => Number(id?.split('-').at(-1)))
    expect(places).toEqual(places.map((_, index) => index + 1))
    expect(reader.events.every(({ id }) => id === undefined || id.startsWith(runIdOf(reader)))).toBe(true)
  })

  it('cancels the runs that it began, and leaves those that were there', async () => {
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker] })
    const slow = '/api/sse/flow-example?count=1000&intervalMs=60000'
    await using other = await EventCollector.open(gateway.url + RELAY, { body: { endpoint: slow } })
    await other.waitFor('flow_item')
    const body = [slow, `/api/runs/${runIdOf(other)}/events`]
    await using reader = await EventCollector.open(gateway.url + MERGE, { body })
    await reader.waitForCount('flow_item', 2)
    await postJson(`${gateway.url}/api/runs/${runIdOf(reader)}/cancel`, {})
    await reader.ended
    expect(allDataOf(reader, 'source_error').map(({ code }) => code)).toEqual(['cancelled', 'cancelled'])
    const statuses = (await worker.deps.runs.list()).runs.map(({ status }) => status)
    expect(statuses.toSorted()).toEqual(['cancelled', 'running'])
  })

  it.each([
    ['no endpoints', [], 400, 'invalid_request'],
    ['33 of them', Array.from({ length: 33 }, (_, n) => `/${n}`), 400, 'invalid_request'],
    ['an endpoint twice', ['/a', '/a'], 422, 'duplicate_source'],
    [
      'a name twice',
      [
        { name: 'a', endpoint: '/a' },
        { name: 'a', endpoint: '/b' },
      ],
      422,
      'duplicate_source',
    ],
    ['no array', { endpoints: ['/a'] }, 400, 'invalid_request'],
  ])('of %s is refused', async (_, body, status, code) => {
    await using gateway = await startGateway()
    const answer = await postJson(gateway.url + MERGE, body)
    expect(answer.status).toBe(status)
    expect(await answer.json()).toMatchObject({ code })
  })
})

describe('a slow reader of a relay', () => {
  /** Bytes that the process holds. */
  const residentBytes = async (pid: number | undefined) =>
    Number(/^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024

  it.skipIf(process.platform !== 'linux')(
    'slows nobody, costs bounded memory, and is told what it missed',
    async () => {
      const events = 6_000
      const data = 'x'.repeat(65_536)
      const begin = Promise.withResolvers<void>()
      await using upstream = await ScriptedUpstream.start()
      const ticks = Array.from({ length: events }, () => steps.frame({ event: 'tick', data }))
      upstream.script('/s', [steps.open(), steps.until(begin.promise), ...ticks, steps.end()])
      await using gateway = await startGatewayProcess({
        env: {
          RELAY_ALLOWED_ORIGINS: upstream.url,
          RUN_MAX_EVENTS: '100',
          // A heap with no room to put off collecting, so that what the process holds is what it needs.
          NODE_OPTIONS: '--max-old-space-size=160 --max-semi-space-size=4',
        },
      })
      await using fast = await EventCollector.open(gateway.url + RELAY, {
        body: { endpoint: `${upstream.url}/s` },
      })
      await using slow = await EventCollector.open(`${gateway.url}/api/runs/${runIdOf(fast)}/events`)
      await slow.waitFor('connection')
      slow.pause()
      const before = await residentBytes(gateway.pid)
      begin.resolve()
      await fast.waitFor('complete', 40_000)
      const grown = (await residentBytes(gateway.pid)) - before
      // 400 MB went through; a hundred events of it are kept, 150 MB are held at times.
      expect(grown).toBeLessThan(250 * 1024 * 1024)
      const gaps = fast.ofType('gap').length
      if (gaps === 0) expect(fast.ofType('tick')).toHaveLength(events)
      slow.resume()
      await slow.waitFor('complete', 20_000)
      expect(allDataOf(slow, 'gap').length).toBeGreaterThan(0)
      for (const { reason } of allDataOf(slow, 'gap')) expect(reason).toBe('overflow')
      // What came, and what it was told it missed, are all there is.
      const numberOf = (id: unknown) => Number(String(id).split('-').at(-1))
      const missed = allDataOf(slow, 'gap').reduce(
        (sum, { from, to }) => sum + numberOf(to) - numberOf(from),
        0,
      )
      expect(logged(slow).length + missed).toBe(events + 2)
    },
  )
})
