import { connect } from 'node:net'
import { EventCollector, lastingPort } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { startGateway as startGatewayProcess, startWorker as startWorkerProcess } from './processes.ts'
import { parseScrape, scrapedValue } from './prometheus-text.ts'
import { PARALLEL_TASKS, postJson, startGateway, startWorker } from './services.ts'

const CONNECT = '/api/sse/managed/connect'
const BROADCAST = '/api/sse/managed/broadcast'

async function scrape({ url }: { readonly url: string }) {
  const answer = await fetch(`${url}/metrics`)
  expect([answer.status, answer.headers.get('content-type')]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
  ])
  const metrics = parseScrape(await answer.text())
  return (name: string, labels?: Readonly<Record<string, string>>) => scrapedValue(metrics, name, labels)
}

async function readJson({ url }: { readonly url: string }, path = '/api/sse/metrics') {
  const answer = await fetch(url + path)
  expect(answer.status).toBe(200)
  return answer.json()
}

/** Waits until it is so, turn by turn. */
async function until(isSo: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await isSo())) await new Promise(setImmediate)
}

async function open(url: string): Promise<EventCollector> {
  const stream = await EventCollector.open(url)
  await stream.waitFor('connection')
  return stream
}

describe('the gateway counts', () => {
  it('what is published and delivered, who is there, and how streams end', async () => {
    await using gateway = await startGateway()
    await using staying = await open(gateway.url + CONNECT)
    const leaving = await open(gateway.url + CONNECT)
    for (const n of [1, 2, 3]) await postJson(gateway.url + BROADCAST, { event: 'news', data: n })
    await staying.waitForCount('news', 3)
    await until(async () => (await scrape(gateway))('tributary_delivery_seconds_count') === 3)
    let read = await scrape(gateway)
    expect([
      read('tributary_connections', { transport: 'sse', state: 'connected' }),
      read('tributary_connections', { transport: 'sse', state: 'idle' }),
      read('tributary_connections', { transport: 'polling', state: 'connected' }),
      read('tributary_connections_opened_total'),
      read('tributary_streams_open'),
      read('tributary_events_published_total'),
      read('tributary_events_delivered_total'),
      read('tributary_stream_events_sent_total'),
      read('tributary_http_requests_total', { method: 'POST', route: BROADCAST, status: '200' }),
    ]).toEqual([2, 0, 0, 2, 2, 3, 6, 6, 3])
    await leaving.close()
    await until(() => gateway.deps.hub.local.count() === 1)
    await postJson(`${gateway.url}/api/sse/health`, {
      action: 'force_disconnect',
      connectionId: gateway.deps.hub.local.connections()[0]?.connectionId,
    })
    await staying.ended
    read = await scrape(gateway)
    expect([
      read('tributary_streams_ended_total', { reason: 'gone' }),
      read('tributary_streams_ended_total', { reason: 'forced' }),
      read('tributary_streams_open'),
      read('tributary_stream_events_sent_total'),
    ]).toEqual([1, 1, 0, 6])
  })

  it('replays and gaps', async () => {
    await using gateway = await startGateway()
    for (const n of [1, 2, 3]) await postJson(gateway.url + BROADCAST, { event: 'news', data: n })
    await using resumed = await open(`${gateway.url + CONNECT}?since=0`)
    await resumed.waitForCount('news', 3)
    await using lost = await open(`${gateway.url + CONNECT}?lastEventId=1-2`)
    await lost.waitForCount('news', 3)
    const read = await scrape(gateway)
    expect([
      read('tributary_replay_events_sum'),
      read('tributary_replay_events_count'),
      read('tributary_gaps_total', { reason: 'log_lost' }),
    ]).toEqual([6, 2, 1])
    expect(await readJson(gateway)).toMatchObject({ replays: 2, eventsReplayed: 6, gaps: 1 })
  })

  it('what a reader who takes nothing costs, and what he goes without', async () => {
    await using gateway = await startGateway({ env: { MAX_EVENT_BYTES: '200000' } })
    const { port } = new URL(gateway.url)
    const socket = connect({ host: '127.0.0.1', port: Number(port) })
    socket.pause()
    socket.write(`GET ${CONNECT} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    await until(() => gateway.deps.hub.local.count() === 1)
    const low = { event: 'tick', data: 'x'.repeat(100_000), priority: 'low' }
    await until(async () => {
      await postJson(gateway.url + BROADCAST, low)
      return gateway.deps.hub.stats().eventsDropped > 0
    })
    const read = await scrape(gateway)
    const { eventsDropped, pendingBytes } = await readJson(gateway)
    expect(read('tributary_events_dropped_total', { reason: 'low_priority' })).toBe(eventsDropped)
    expect(read('tributary_outbox_pending_bytes')).toBe(pendingBytes)
    expect(read('tributary_outbox_pending_max_bytes')).toBe(pendingBytes)
    expect(pendingBytes).toBeGreaterThan(0)
    expect(pendingBytes).toBeLessThanOrEqual(262_144)
    socket.destroy()
  })

  it('refusals and problems by code', async () => {
    await using gateway = await startGateway()
    await fetch(`${gateway.url}/nowhere`)
    await fetch(`${gateway.url}/api/runs/none`)
    await gateway.deps.hub.drain(0)
    expect((await fetch(gateway.url + CONNECT)).status).toBe(503)
    const read = await scrape(gateway)
    expect([
      read('tributary_connections_refused_total', { code: 'draining' }),
      read('tributary_http_problems_total', { code: 'draining', category: 'server' }),
      read('tributary_http_problems_total', { code: 'not_found', category: 'client' }),
      read('tributary_http_requests_total', { method: 'GET', route: '(none)', status: '404' }),
    ]).toEqual([1, 1, 1, 1])
    expect(await readJson(gateway)).toMatchObject({
      connectionsRefused: 1,
      errorsByCategory: { connection: 1, authentication: 0, client: 1, server: 1 },
    })
  })

  it('its workers, and what is read from them', async () => {
    const gone = `http://127.0.0.1:${await lastingPort()}`
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker, { url: gone }] })
    const read = await scrape(gateway)
    expect([
      read('tributary_upstream_up', { upstream: worker.url }),
      read('tributary_upstream_streams', { upstream: worker.url }),
      read('tributary_upstream_up', { upstream: gone }),
    ]).toEqual([1, 0, 0])
  })

  it('nothing of what watches it', async () => {
    await using gateway = await startGateway()
    for (const path of ['/readyz', '/healthz', '/metrics', '/api/sse/metrics', '/api/sse/health']) {
      expect((await fetch(gateway.url + path)).status).toBe(200)
    }
    const read = await scrape(gateway)
    expect([
      read('tributary_streams_opened_total'),
      read('tributary_events_published_total'),
      read('tributary_events_delivered_total'),
      read('tributary_delivery_seconds_count'),
      read('tributary_connections_opened_total'),
    ]).toEqual([0, 0, 0, 0, 0])
    const metrics = parseScrape(await (await fetch(`${gateway.url}/metrics`)).text())
    expect(metrics.get('tributary_http_requests_total')?.samples).toEqual([])
    expect(metrics.get('tributary_streams_ended_total')?.samples).toEqual([])
  })

  it('anew after a reset, and says so', async () => {
    await using gateway = await startGateway()
    await using stream = await open(`${gateway.url + CONNECT}?lastEventId=1-2`)
    await postJson(gateway.url + BROADCAST, { event: 'news', data: 1 })
    expect(await readJson(gateway)).toMatchObject({ totalConnections: 1, eventsPublished: 1, gaps: 1 })
    const { success, metrics } = await (await postJson(`${gateway.url}/api/sse/reset`, {})).json()
    await stream.ended
    const none = {
      activeConnections: 0,
      totalConnections: 0,
      eventsPublished: 0,
      eventsDispatched: 0,
      gaps: 0,
    }
    expect([success, metrics]).toMatchObject([true, none])
    const again = await readJson(gateway)
    expect(again).toMatchObject({ ...none, errors: 0 })
    expect(Object.keys(again)).toEqual(Object.keys(metrics))
  })
})

describe('the worker counts', () => {
  it('runs and tasks by what became of them', async () => {
    const refusing = await lastingPort()
    await using worker = await startWorker({ env: { NODE_ENV: 'development' } })
    await using gateway = await startGateway({ workers: [worker] })
    await using run = await EventCollector.open(gateway.url + PARALLEL_TASKS, {
      body: {
        tasks: [
          { id: 'good', url: `${worker.url}/healthz` },
          { id: 'away', url: `http://127.0.0.1:${refusing}/`, retries: 1 },
        ],
      },
    })
    await run.waitFor('complete')
    const kind = 'parallel-tasks'
    await until(async () => (await scrape(worker))('tributary_runs', { state: 'partial' }) === 1)
    const read = await scrape(worker)
    expect([
      read('tributary_runs_started_total', { kind }),
      read('tributary_run_duration_seconds_count', { kind, state: 'partial' }),
      read('tributary_tasks_total', { state: 'succeeded', code: '' }),
      read('tributary_tasks_total', { state: 'failed', code: 'connection_refused' }),
      read('tributary_task_retries_total', { code: 'connection_refused' }),
      read('tributary_task_duration_seconds_count'),
      read('tributary_task_attempts_active'),
    ]).toEqual([1, 1, 1, 1, 1, 2, 0])
    expect(read('tributary_streams_opened_total')).toBe(1)
  })
})

describe('services as processes of their own, on files', () => {
  it('answer a scrape without a token, and one that parses, with what the store took', async () => {
    await using worker = await startWorkerProcess()
    await using gateway = await startGatewayProcess({ workers: [worker] })
    await postJson(gateway.url + BROADCAST, { event: 'news', data: 1 })
    for (const service of [gateway, worker]) {
      expect(await readJson(service, '/readyz')).toMatchObject({
        status: 'ready',
        probe: { ageMs: expect.any(Number) },
      })
      const read = await scrape(service)
      expect(read('tributary_store_append_seconds_count')).toBeGreaterThan(0)
      expect([read('tributary_store_up'), read('tributary_store_errors_total')]).toEqual([1, 0])
      expect(read('tributary_event_loop_delay_seconds', { quantile: '0.99' })).toBeGreaterThanOrEqual(0)
      expect(read('process_resident_memory_bytes')).toBeGreaterThan(0)
    }
  })
})
