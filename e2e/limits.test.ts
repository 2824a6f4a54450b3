import { EventCollector } from '@tributary/testkit'
import { EventSource } from 'eventsource'
import { describe, expect, it } from 'vitest'
import { RawStream } from './raw-stream.ts'
import { PARALLEL_TASKS, postJson, startGateway, startWorker } from './services.ts'

const CONNECT = '/api/sse/managed/connect'
const WAIT = { timeout: 20_000 }

/** So many readers at once, each a user of its own. */
function storm(url: string, count: number, query = ''): RawStream[] {
  return Array.from({ length: count }, (_, n) => new RawStream(`${url}${CONNECT}?userId=u${n}${query}`))
}

/** How many got which status. */
async function tally(streams: readonly RawStream[]): Promise<Record<number, number>> {
  const tally: Record<number, number> = {}
  for (const stream of streams) {
    const status = await stream.status()
    tally[status] = (tally[status] ?? 0) + 1
  }
  return tally
}

const closeAll = (streams: readonly RawStream[]) => {
  for (const { socket } of streams) socket.destroy()
}

describe('MAX_CONNECTIONS', () => {
  it('lets exactly so many of a storm in, harms none of them, and as many again when they have left', async () => {
    await using gateway = await startGateway({ env: { MAX_CONNECTIONS: '100' } })
    const { hub, streams } = gateway.deps
    for (let round = 0; round < 2; round++) {
      const readers = storm(gateway.url, 300)
      expect(await tally(readers)).toEqual({ 200: 100, 503: 200 })
      expect([hub.local.count(), streams.admitted]).toEqual([100, 100])
      expect(await hub.broadcast('news', round)).toMatchObject({ delivered: 100 })
      const taken = () => readers.filter(({ events }) => events.some(({ type }) => type === 'news'))
      await expect.poll(() => taken().length, WAIT).toBe(100)
      closeAll(readers)
      await expect.poll(() => [hub.local.count(), streams.admitted], WAIT).toEqual([0, 0])
    }
  })

  it('counts nobody who left while it was opened', async () => {
    await using gateway = await startGateway({ env: { MAX_CONNECTIONS: '100' } })
    const { hub, streams } = gateway.deps
    await hub.broadcast('news', 'x'.repeat(1_000))
    for (let round = 0; round < 5; round++) {
      const readers = storm(gateway.url, 100, '&since=0')
      // Some before they are connected, some while they are answered, some in the middle of their stream.
      closeAll(readers.filter((_, n) => n % 4 === 0))
      await Promise.race(readers.filter((_, n) => n % 4 !== 0).map(({ head }) => head))
      closeAll(readers.filter((_, n) => n % 4 === 1))
      await Promise.all(readers.filter((_, n) => n % 4 === 2).map(({ head }) => head))
      closeAll(readers)
    }
    await expect.poll(() => [hub.local.count(), streams.admitted], WAIT).toEqual([0, 0])
    const readers = storm(gateway.url, 101)
    expect(await tally(readers)).toEqual({ 200: 100, 503: 1 })
    closeAll(readers)
  })

  it('says what the limit is, and tells who comes back with a cursor to come again', async () => {
    await using gateway = await startGateway({ env: { MAX_CONNECTIONS: '1' } })
    await using first = await EventCollector.open(gateway.url + CONNECT)
    await first.waitFor('connection')
    const refused = await fetch(gateway.url + CONNECT)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await refused.json()).toMatchObject({
      code: 'too_many_connections',
      retryable: true,
      detail: expect.stringContaining('MAX_CONNECTIONS'),
    })
    await using busy = await EventCollector.open(`${gateway.url}${CONNECT}?lastEventId=5-1`)
    await busy.ended
    expect([busy.status, busy.retries[0]]).toEqual([200, expect.toSatisfy((ms: number) => ms >= 5_000)])
    expect(busy.events).toMatchObject([{ id: '5-1', data: { reason: 'busy', reconnect: true } }])
    const head = await fetch(gateway.url + CONNECT, { method: 'HEAD' })
    expect(head.status).toBe(200)
  })

  it('counts the streams of runs too, and starts no run for one that is refused', async () => {
    await using worker = await startWorker()
    await using gateway = await startGateway({ workers: [worker], env: { MAX_CONNECTIONS: '1' } })
    const tasks = { tasks: [{ id: 'wait', name: 'Wait', url: `${worker.url}/api/sample/slow?ms=60000` }] }
    const open = () => EventCollector.open(gateway.url + PARALLEL_TASKS, { body: tasks })
    const runs = async () => (await (await fetch(`${gateway.url}/api/runs`)).json()).runs
    await using run = await open()
    await run.waitFor('connection')
    await using refused = await open()
    await refused.ended
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '5'])
    expect((await fetch(gateway.url + CONNECT)).status).toBe(503)
    expect(await runs()).toHaveLength(1)
    const accepted = await postJson(gateway.url + PARALLEL_TASKS, tasks, { accept: 'application/json' })
    expect(accepted.status).toBe(202)
    expect(await runs()).toHaveLength(2)
    const { events } = await accepted.json()
    await using back = await EventCollector.open(`${gateway.url}${events}?since=0`)
    await back.ended
    expect(back.events).toMatchObject([{ data: { reason: 'busy', reconnect: true } }])
    await run.close()
    await expect.poll(() => gateway.deps.streams.admitted, WAIT).toBe(0)
    await using again = await EventCollector.open(gateway.url + events)
    await again.waitFor('connection')
  })

  it('holds for a worker too', async () => {
    await using worker = await startWorker({ env: { MAX_CONNECTIONS: '1' } })
    const url = `${worker.url}/api/sse/flow-example?count=100&intervalMs=1000`
    await using first = await EventCollector.open(url)
    await first.waitFor('connection')
    expect((await fetch(url)).status).toBe(503)
    const runId = String(first.headers['run-id'])
    await using back = await EventCollector.open(`${worker.url}/api/runs/${runId}/events?since=0`)
    await back.ended
    expect(back.events).toMatchObject([{ data: { reason: 'busy', reconnect: true } }])
    expect((await (await fetch(`${worker.url}/api/runs`)).json()).runs).toHaveLength(1)
  })

  it('sends the runs of a gateway to another worker, and begins none where all are full', async () => {
    await using worker = await startWorker({ env: { MAX_CONNECTIONS: '1' } })
    await using other = await startWorker({ env: { MAX_CONNECTIONS: '1' } })
    await using gateway = await startGateway({ workers: [worker, other] })
    await using first = await EventCollector.open(`${worker.url}/api/sse/flow-example?count=100`)
    await first.waitFor('connection')
    const body = { tasks: [{ id: 'wait', name: 'Wait', url: `${worker.url}/api/sample/slow?ms=60000` }] }
    await using run = await EventCollector.open(gateway.url + PARALLEL_TASKS, { body })
    await run.waitFor('task_start', WAIT.timeout)
    await using refused = await EventCollector.open(gateway.url + PARALLEL_TASKS, { body })
    await refused.ended
    expect(refused.status).toBe(503)
    expect(JSON.parse(refused.text)).toMatchObject({ code: 'upstream_unavailable', retryable: true })
    const runs = await Promise.all(
      [worker, other].map(async ({ url }) => (await (await fetch(`${url}/api/runs`)).json()).runs),
    )
    expect(runs.map(({ length }) => length)).toEqual([1, 1])
  })
})

describe('MAX_CONNECTIONS_PER_USER', () => {
  it('refuses a sixth stream of a user, whichever way it comes', async () => {
    await using gateway = await startGateway()
    const readers = storm(gateway.url, 4).map(() => new RawStream(`${gateway.url}${CONNECT}?userId=ann`))
    const group = new RawStream(`${gateway.url}${CONNECT}/group/g?userId=ann`)
    expect(await tally([...readers, group])).toEqual({ 200: 5 })
    for (const path of [CONNECT, '/api/sse', '/api/realtime/sse', `${CONNECT}/group/g`]) {
      const refused = await fetch(`${gateway.url}${path}?userId=ann`)
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '10'])
      expect(await refused.json()).toMatchObject({ code: 'user_connection_limit', retryable: true })
    }
    await using bob = await EventCollector.open(`${gateway.url}${CONNECT}?userId=bob`)
    await bob.waitFor('connection')
    closeAll([...readers, group])
  })

  it('ends the oldest for a new one where it replaces, and a plain EventSource stays away', async () => {
    await using gateway = await startGateway({
      env: { MAX_CONNECTIONS_PER_USER: '2', CONNECTION_LIMIT_POLICY: 'replace' },
    })
    const url = `${gateway.url}${CONNECT}?userId=ann`
    const statuses: number[] = []
    // As a browser that has been asked to wait for a day, and does not.
    const impatient = async (input: string | URL, init: RequestInit): Promise<Response> => {
      const answer = await fetch(input, init)
      statuses.push(answer.status)
      const { body } = answer
      if (body === null) return answer
      const hurried = body.pipeThrough(new TextDecoderStream()).pipeThrough(
        new TransformStream<string, string>({
          transform: (text, controller) => controller.enqueue(text.replaceAll(/retry: \d+/g, 'retry: 10')),
        }),
      )
      return new Response(hurried.pipeThrough(new TextEncoderStream()), answer)
    }
    const source = new EventSource(url, { fetch: impatient as typeof fetch })
    const told: string[] = []
    source.addEventListener('disconnected', ({ data }) => told.push(data))
    await expect.poll(() => source.readyState, WAIT).toBe(EventSource.OPEN)
    await using second = await EventCollector.open(url)
    await second.waitFor('connection')
    await using third = await EventCollector.open(url)
    await third.waitFor('connection')
    await expect.poll(() => source.readyState, WAIT).toBe(EventSource.CLOSED)
    expect(told.map((data) => JSON.parse(data))).toEqual([{ reason: 'replaced', reconnect: false }])
    expect(statuses).toEqual([200, 204])
    expect(await gateway.deps.hub.sendToUser('ann', 'news', 1)).toMatchObject({ delivered: 2 })
    await Promise.all([second.waitFor('news'), third.waitFor('news')])
  })
})

describe('MAX_CONNECTIONS_PER_ADDRESS', () => {
  it('counts each address by itself', async () => {
    await using gateway = await startGateway({ env: { MAX_CONNECTIONS_PER_ADDRESS: '3' } })
    const from = (address: string) =>
      Array.from({ length: 10 }, (_, n) => {
        const url = `${gateway.url}${CONNECT}?userId=u${n}`
        return new RawStream(url, {}, address)
      })
    const [here, there] = [from('127.0.0.1'), from('127.0.0.2')]
    expect([await tally(here), await tally(there)]).toEqual([
      { 200: 3, 429: 7 },
      { 200: 3, 429: 7 },
    ])
    closeAll(here)
    await expect.poll(() => gateway.deps.streams.admitted, WAIT).toBe(3)
    const again = from('127.0.0.1')
    expect(await tally(again)).toEqual({ 200: 3, 429: 7 })
    expect(await tally(from('127.0.0.2'))).toEqual({ 429: 10 })
    closeAll([...again, ...there])
  })
})

describe('CONNECT_RATE_PER_S', () => {
  it('refuses those beyond a burst, says when to come, and uses up nothing for a HEAD', async () => {
    await using gateway = await startGateway({ env: { CONNECT_RATE_PER_S: '1' } })
    expect((await fetch(gateway.url + CONNECT, { method: 'HEAD' })).status).toBe(200)
    // So many that they do not come one a second, however slow the machine is.
    const readers = storm(gateway.url, 50)
    const { 200: taken = 0, 429: refused = 0 } = await tally(readers)
    expect(taken + refused).toBe(50)
    expect(taken).toBeGreaterThan(0)
    expect(refused).toBeGreaterThan(0)
    const heads = await Promise.all(readers.map(({ head }) => head))
    for (const head of heads.filter((text) => text.includes(' 429 ')))
      expect(head).toContain('retry-after: 1')
    closeAll(readers)
  })
})
