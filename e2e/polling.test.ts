import { EventCollector } from '@tributary/testkit'
import { describe, expect, it, vi } from 'vitest'
import { logged, postJson, startGateway } from './services.ts'

const POLL = '/api/realtime/polling'
const CONNECT = '/api/sse/managed/connect'
const alice = { authorization: 'Bearer alice-token' }

interface Page {
  readonly events: { readonly id: string; readonly type: string; readonly data: unknown }[]
  readonly cursor: string
  readonly gap?: { readonly reason: string }
  readonly hasMore: boolean
  readonly ended: boolean
}

type Gateway = Awaited<ReturnType<typeof startGateway>>

async function poll(gateway: Gateway, query: string, headers: Record<string, string> = alice): Promise<Page> {
  const answer = await fetch(`${gateway.url}${POLL}?${query}`, { headers })
  expect([answer.status, answer.headers.get('content-type'), answer.headers.get('cache-control')]).toEqual([
    200,
    'application/json; charset=utf-8',
    'no-store',
  ])
  return (await answer.json()) as Page
}

const send = (gateway: Gateway, data: unknown, event = 'e') =>
  postJson(`${gateway.url}/api/sse/managed/send/user/alice`, { event, data })

const waiting = (gateway: Gateway, count: number) =>
  vi.waitFor(() => expect(gateway.deps.hub.stats().waitingPolls).toBe(count))

const dataOf = ({ events }: Page) => events.map(({ data }) => data)

describe('polling', () => {
  it('begins with a cursor, and goes on with whole events', async () => {
    await using gateway = await startGateway()
    const start = await poll(gateway, 'wait=50000')
    expect(start).toEqual({ events: [], cursor: expect.any(String), hasMore: false, ended: false })
    await send(gateway, { a: 1 })
    const page = await poll(gateway, `since=${start.cursor}&wait=50000`)
    expect(page.events).toEqual([
      {
        id: page.cursor,
        type: 'e',
        data: { a: 1 },
        timestamp: expect.any(Number),
        priority: 'normal',
        source: 'dev',
        version: '1',
      },
    ])
  })

  it('waits for what comes, and answers nothing when its time is over', async () => {
    await using gateway = await startGateway()
    const { cursor } = await poll(gateway, '')
    const next = poll(gateway, `since=${cursor}&wait=50000`)
    await waiting(gateway, 1)
    await postJson(`${gateway.url}/api/sse/managed/send/user/bob`, { event: 'e', data: 'for bob' })
    await send(gateway, 1)
    const page = await next
    expect(dataOf(page)).toEqual([1])
    expect(await poll(gateway, `since=${page.cursor}&wait=100`)).toMatchObject({
      events: [],
      cursor: page.cursor,
    })
  })

  it('takes an id, a time or the oldest, from the query or the header', async () => {
    await using gateway = await startGateway()
    for (const n of [1, 2, 3]) await send(gateway, n)
    const all = await poll(gateway, 'since=0')
    expect(dataOf(all)).toEqual([1, 2, 3])
    const [first] = all.events
    expect(dataOf(await poll(gateway, `lastEventId=${first?.id}`))).toEqual([2, 3])
    expect(dataOf(await poll(gateway, '', { ...alice, 'last-event-id': String(first?.id) }))).toEqual([2, 3])
    expect(dataOf(await poll(gateway, `since=${Date.now() + 60_000}`))).toEqual([])
    expect(await poll(gateway, 'since=1-1')).toMatchObject({ gap: { reason: 'log_lost' } })
  })

  it('answers a page of the asked size and types, and says whether there is more', async () => {
    await using gateway = await startGateway()
    for (let n = 0; n < 12; n++) await send(gateway, n, n % 2 === 0 ? 'even' : 'odd')
    const got: unknown[] = []
    let page = await poll(gateway, 'since=0&limit=2&types=even,%20none')
    got.push(...dataOf(page))
    while (page.hasMore) {
      page = await poll(gateway, `since=${page.cursor}&limit=2&types=even`)
      got.push(...dataOf(page))
    }
    expect(got).toEqual([0, 2, 4, 6, 8, 10])
  })

  it('gets what is for its groups, session and metadata', async () => {
    await using gateway = await startGateway()
    const query = 'since=0&groups=g,h&sessionId=s&metadata={"vip":true}'
    const audiences = [{ groups: ['h'] }, { sessionId: 's' }, { where: { vip: true } }, { roles: ['admin'] }]
    for (const [data, audience] of audiences.entries()) {
      await postJson(`${gateway.url}/api/sse`, { event: 'e', data, ...audience })
    }
    expect(dataOf(await poll(gateway, query))).toEqual([0, 1, 2])
    expect(dataOf(await poll(gateway, query, { authorization: 'Bearer test-token' }))).toEqual([0, 1, 2, 3])
  })

  it('may take turns with a stream at any event, and nothing is lost or repeated', async () => {
    await using gateway = await startGateway()
    let { cursor } = await poll(gateway, '')
    const got: unknown[] = []
    let sent = 0
    for (let turn = 0; turn < 12; turn++) {
      for (let n = 0; n < 3; n++) await send(gateway, sent++)
      if (turn % 2 === 0) {
        const page = await poll(gateway, `since=${cursor}&limit=${1 + (turn % 4)}`)
        got.push(...dataOf(page))
        cursor = page.cursor
      } else {
        await using reader = await EventCollector.open(`${gateway.url}${CONNECT}?lastEventId=${cursor}`, {
          headers: alice,
        })
        await reader.waitForCount('e', 1 + (turn % 3))
        got.push(...logged(reader).map(({ data }) => data))
        cursor = String(reader.lastEventId)
      }
    }
    let page: Page
    do {
      page = await poll(gateway, `since=${cursor}`)
      got.push(...dataOf(page))
      cursor = page.cursor
    } while (page.hasMore)
    expect(got).toEqual(Array.from({ length: sent }, (_, n) => n))
  })

  it.each([
    ['since=nonsense', 'invalid_cursor'],
    ['limit=0', 'invalid_request'],
    ['limit=1001', 'invalid_request'],
    ['wait=-1', 'invalid_request'],
    ['wait=soon', 'invalid_request'],
  ])('refuses %s', async (query, code) => {
    await using gateway = await startGateway()
    const answer = await fetch(`${gateway.url}${POLL}?${query}`, { headers: alice })
    expect([answer.status, await answer.json()]).toMatchObject([400, { code }])
  })

  it('lets go of who hangs up, answers HEAD at once, and refuses who is not known', async () => {
    await using gateway = await startGateway()
    const { cursor } = await poll(gateway, '')
    const gone = new AbortController()
    const left = fetch(`${gateway.url}${POLL}?since=${cursor}&wait=50000`, { signal: gone.signal })
    await waiting(gateway, 1)
    gone.abort()
    await expect(left).rejects.toThrow()
    await waiting(gateway, 0)
    const head = await fetch(`${gateway.url}${POLL}?since=${cursor}&wait=50000`, { method: 'HEAD' })
    expect([head.status, head.headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect((await fetch(`${gateway.url}${POLL}?token=none`)).status).toBe(401)
  })

  it('is answered when the gateway drains, and refused from then on', async () => {
    await using gateway = await startGateway()
    const { cursor } = await poll(gateway, '')
    const last = poll(gateway, `since=${cursor}&wait=50000`)
    await waiting(gateway, 1)
    const drained = gateway.deps.drain.begin()
    expect(await last).toMatchObject({ events: [], cursor })
    const refused = await fetch(`${gateway.url}${POLL}?since=${cursor}`)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '2'])
    await refused.body?.cancel()
    await drained
  })
})
