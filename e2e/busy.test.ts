import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { EventCollector, lastingPort } from '@tributary/testkit'
import { EventSource } from 'eventsource'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { Chromium, findChromium } from './browser/chromium.ts'
import { postJson, startGateway } from './services.ts'

const CONNECT = '/api/sse/managed/connect'
const WAIT = { timeout: 20_000 }

/** What an EventSource saw, and where it stands. */
interface Seen {
  readonly numbers: number[]
  /** Why each of its streams ended. */
  readonly endings: string[]
  readonly connections: string[]
  readonly gaps: number
  readonly readyState: number
}

interface Reader extends AsyncDisposable {
  seen(): Promise<Seen>
}

const CONNECTING = 0
const CLOSED = 2

/** Notes what a plain EventSource sees; the same code for Node and for a page. */
function watch(EventSourceOf: typeof globalThis.EventSource, url: string) {
  const source = new EventSourceOf(url)
  const seen = { numbers: [] as number[], endings: [] as string[], connections: [] as string[], gaps: 0 }
  source.addEventListener('connection', ({ data }) => seen.connections.push(JSON.parse(data).clientId))
  source.addEventListener('number', ({ data }) => seen.numbers.push(JSON.parse(data)))
  source.addEventListener('disconnected', ({ data }) => seen.endings.push(JSON.parse(data).reason))
  source.addEventListener('gap', () => {
    seen.gaps += 1
  })
  return { close: () => source.close(), seen: () => ({ ...seen, readyState: source.readyState }) }
}

const { executable, reason } = findChromium()
if (reason !== undefined)
  process.stderr.write(`the tests of a busy server in a browser are skipped: ${reason}\n`)

const packageSource = async (url: string): Promise<Reader> => {
  const { seen, close } = watch(EventSource as typeof globalThis.EventSource, url)
  return { seen: async () => seen(), [Symbol.asyncDispose]: async () => close() }
}

const owned = new AsyncDisposableStack()
let chromium: Chromium | undefined
beforeAll(async () => {
  if (executable !== undefined) chromium = owned.use(await Chromium.launch(executable))
})
afterAll(() => owned.disposeAsync())

const browserSource = async (url: string): Promise<Reader> => {
  if (chromium === undefined) throw new Error('there is no Chromium')
  const page: Page = await chromium.context.newPage()
  await page.goto(new URL('/sse-client.html', url).href)
  await page.evaluate(`globalThis.watched = (${watch})(EventSource, ${JSON.stringify(url)})`)
  return {
    seen: () => page.evaluate('watched.seen()'),
    [Symbol.asyncDispose]: () => page.close(),
  }
}

const SOURCES = [
  { name: 'the eventsource package', open: packageSource, isThere: true },
  { name: 'a browser', open: browserSource, isThere: executable !== undefined },
]

const send = async (gateway: { url: string }, number: number) => {
  const answer = await postJson(`${gateway.url}/api/sse/managed/broadcast`, { event: 'number', data: number })
  expect(answer.status).toBe(200)
}

describe.each(SOURCES)('an EventSource of $name', ({ open, isThere }) => {
  it.skipIf(!isThere)('comes through rotations and a busy time with each event once, in order', async () => {
    await using gateway = await startGateway()
    await using busy = await startGateway()
    await busy.deps.hub.drain(0)
    await using way = await impatientWay(gateway.url)
    await using reader = await open(`${way.url}${CONNECT}?timeout=600`)
    const until = (isSo: (seen: Seen) => boolean) =>
      vi.waitFor(async () => expect(await reader.seen()).toSatisfy(isSo), WAIT)
    await until(({ connections }) => connections.length === 1)
    await send(gateway, 1)
    await until(({ endings }) => endings.includes('timeout'))
    await send(gateway, 2)
    await until(({ connections }) => connections.length > 1)
    await send(gateway, 3)

    way.target = busy.url
    gateway.deps.hub.endAll('timeout')
    await send(gateway, 4)
    await until(({ endings }) => endings.filter((ending) => ending === 'busy').length >= 3)
    await send(gateway, 5)
    const before = (await reader.seen()).connections.length
    way.target = gateway.url
    await until(({ connections }) => connections.length > before)
    await send(gateway, 6)
    await until(({ numbers }) => numbers.length >= 6)
    expect(await reader.seen()).toMatchObject({ numbers: [1, 2, 3, 4, 5, 6], gaps: 0 })
  })

  it.skipIf(!isThere)(
    'waits through a drain, and reads on where another gateway takes its place',
    async () => {
      const port = await lastingPort()
      const env = { RETRY_MS: '50', DRAIN_MS: '1000' }
      const first = await startGateway({ env, port })
      await using reader = await open(first.url + CONNECT)
      await vi.waitFor(async () => expect((await reader.seen()).connections).toHaveLength(1), WAIT)
      await send(first, 1)
      await vi.waitFor(async () => expect((await reader.seen()).numbers).toEqual([1]), WAIT)
      // A request that is under way keeps it in its drain.
      const headers = { 'content-type': 'application/json', 'content-length': '9' }
      const held = request(`${first.url}/api/sse/managed/broadcast`, { method: 'POST', headers })
      held.on('error', () => undefined)
      held.write('{')
      await vi.waitFor(async () => expect(await first.connectionCount()).toBeGreaterThan(1), WAIT)
      const drained = first.deps.drain.begin()
      await vi.waitFor(async () => expect((await reader.seen()).endings).toEqual(['drain', 'busy']), WAIT)
      expect((await reader.seen()).readyState).toBe(CONNECTING)
      await drained
      await first.close()
      await held
      await using second = await startGateway({ env, port })
      await vi.waitFor(async () => expect((await reader.seen()).connections).toHaveLength(2), WAIT)
      await send(second, 2)
      await vi.waitFor(async () => expect((await reader.seen()).numbers).toEqual([1, 2]), WAIT)
    },
  )

  it.skipIf(!isThere)('stops for good after it was closed, also where it is impatient', async () => {
    await using gateway = await startGateway()
    await using way = await impatientWay(gateway.url)
    await using reader = await open(way.url + CONNECT)
    await using other = await open(way.url + CONNECT)
    await vi.waitFor(async () => expect((await other.seen()).connections).toHaveLength(1), WAIT)
    await vi.waitFor(async () => expect((await reader.seen()).connections).toHaveLength(1), WAIT)
    await send(gateway, 1)
    const [id] = (await reader.seen()).connections
    await fetch(`${gateway.url}/api/sse/managed/connections/${id}`, { method: 'DELETE' })
    await vi.waitFor(async () => expect((await reader.seen()).readyState).toBe(CLOSED), WAIT)
    expect(await reader.seen()).toMatchObject({ endings: ['forced'], connections: [id] })
    expect(way.statuses).toEqual([200, 200, 204])
    // Another reader of the same user, at the same place, is let in again.
    await send(gateway, 2)
    await vi.waitFor(async () => expect((await other.seen()).numbers).toEqual([1, 2]), WAIT)
    gateway.deps.hub.endAll('timeout')
    await vi.waitFor(async () => expect((await other.seen()).connections).toHaveLength(2), WAIT)
    expect(way.statuses).toEqual([200, 200, 204, 200])
  })
})

/** A way to a gateway on which each `retry:` is short, as with a client that does not wait a day. */
async function impatientWay(first: string) {
  const statuses: number[] = []
  const server = createServer(async (asked, response) => {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const cursor = asked.headers['last-event-id']
    try {
      const answer = await fetch(`${way.target}${asked.url}`, {
        signal: gone.signal,
        headers: cursor === undefined ? {} : { 'last-event-id': String(cursor) },
      })
      if (asked.url?.split('?')[0] === CONNECT) statuses.push(answer.status)
      response.writeHead(answer.status, {
        'content-type': answer.headers.get('content-type') ?? 'text/plain',
      })
      response.flushHeaders()
      const decoder = new TextDecoder()
      for await (const chunk of answer.body ?? []) {
        response.write(decoder.decode(chunk, { stream: true }).replaceAll(/^retry: \d+$/gm, 'retry: 20'))
      }
      response.end()
    } catch {
      response.destroy()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server does not listen')
  const way = {
    url: `http://127.0.0.1:${address.port}`,
    /** Where it leads. */
    target: first,
    statuses,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
    },
  }
  return way
}

describe('a draining gateway', () => {
  it('refuses a new reader with a problem, and tells one with a cursor to come again', async () => {
    await using gateway = await startGateway()
    await gateway.deps.hub.drain(0)
    for (const path of [CONNECT, `${CONNECT}/group/g`, '/api/sse', '/api/realtime/sse']) {
      const refused = await fetch(gateway.url + path)
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '2'])
      expect(await refused.json()).toMatchObject({ code: 'draining', retryable: true })
      await using busy = await EventCollector.open(gateway.url + path, {
        headers: { 'last-event-id': '5-1' },
      })
      await busy.ended
      expect(busy.status).toBe(200)
      expect(busy.events).toMatchObject([
        { id: '5-1', type: 'disconnected', data: { reason: 'busy', reconnect: true } },
      ])
    }
    const unknown = await fetch(`${gateway.url}${CONNECT}?token=none&lastEventId=5-1`)
    expect(unknown.status).toBe(401)
  })

  it('answers who comes back while it drains, and waits for nobody but requests under way', async () => {
    await using gateway = await startGateway({ env: { MAX_CONNECTIONS_PER_USER: '0' } })
    const readers = await Promise.all(
      Array.from({ length: 40 }, () => EventCollector.open(gateway.url + CONNECT)),
    )
    await Promise.all(readers.map((reader) => reader.waitFor('connection')))
    const drained = gateway.deps.drain.begin()
    await using back = await EventCollector.open(`${gateway.url}${CONNECT}?since=0`)
    await back.ended
    expect([back.status, back.headers.connection, back.events[0]?.data]).toMatchObject([
      200,
      'close',
      { reason: 'busy', reconnect: true },
    ])
    await Promise.all([drained, ...readers.map(({ ended }) => ended)])
    for (const reader of readers) {
      expect(reader.events.at(-1)?.data).toEqual({ reason: 'drain', reconnect: true })
    }
  })
})
