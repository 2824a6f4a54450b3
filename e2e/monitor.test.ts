import { EventCollector } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { startGateway } from './services.ts'

const CONNECT = '/api/sse/managed/connect'
const MONITOR = '/api/realtime/monitor'

interface Page {
  readonly connections: readonly { readonly connectionId: string; readonly userId: string }[]
  readonly next?: string
}

/** A gateway with nine readers: three users, of whom two are in a group. */
async function busyGateway() {
  const owned = new AsyncDisposableStack()
  const gateway = owned.use(await startGateway({ env: { MAX_CONNECTIONS_PER_ADDRESS: '50' } }))
  for (let n = 0; n < 9; n++) {
    const user = ['ann', 'bob', 'cat'][n % 3]
    const path = user === 'cat' ? CONNECT : `${CONNECT}/group/g`
    const reader = owned.use(await EventCollector.open(`${gateway.url}${path}?userId=${user}`))
    await reader.waitFor('connection')
  }
  const ask = async (query = ''): Promise<Page> => (await fetch(`${gateway.url}${MONITOR}${query}`)).json()
  return { gateway, ask, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

describe('GET /api/realtime/monitor', () => {
  it('shows each connection, the totals, and the limits in force', async () => {
    await using t = await busyGateway()
    const { hub } = t.gateway.deps
    await hub.sendToUser('ann', 'news', { text: 'Hi' })
    const poll = fetch(`${t.gateway.url}/api/realtime/polling?wait=50000&userId=ann&since=${Date.now() + 1}`)
    await expect.poll(() => hub.stats().waitingPolls).toBe(1)
    const { connections, ...rest } = await t.ask()
    const [oldest] = hub.local.connections()
    expect(rest).toEqual({
      timestamp: expect.any(Number),
      totals: {
        connections: 9,
        byState: { connecting: 0, connected: 9, idle: 0, stale: 0, disconnecting: 0 },
        byTransport: { sse: 9 },
        streams: 9,
        waitingPolls: 1,
      },
      oldest: { connectionId: oldest?.connectionId, connectedAt: oldest?.connectedAt },
      limits: {
        maxConnections: 10_000,
        maxConnectionsPerUser: 5,
        connectionLimitPolicy: 'reject',
        maxConnectionsPerAddress: 50,
        connectRatePerS: 0,
        outboxMaxBytes: 262_144,
        outboxMaxEvents: 4_096,
      },
    })
    expect(connections).toHaveLength(9)
    expect(connections[0]).toEqual({
      connectionId: oldest?.connectionId,
      nodeId: hub.local.nodeId,
      userId: 'ann',
      address: '127.0.0.1',
      transport: 'sse',
      state: 'connected',
      groups: ['g'],
      roles: [],
      metadata: {},
      connectedAt: oldest?.connectedAt,
      lastActivityAt: expect.any(Number),
      lastEventId: expect.any(String),
      eventsSent: 1,
      bytesSent: expect.any(Number),
      eventsDropped: 0,
      outbox: { bytes: 0, events: 0 },
    })
    hub.endAll('drain')
    await poll
  })

  it('answers those of a user, a group or a state', async () => {
    await using t = await busyGateway()
    const users = async (query: string) => (await t.ask(query)).connections.map(({ userId }) => userId)
    expect(await users('?user=cat')).toEqual(['cat', 'cat', 'cat'])
    expect((await users('?group=g')).toSorted()).toEqual(['ann', 'ann', 'ann', 'bob', 'bob', 'bob'])
    expect(await users('?state=connected')).toHaveLength(9)
    expect(await users('?state=connected&user=ann&group=g')).toHaveLength(3)
    expect(await users('?state=idle')).toEqual([])
    for (const query of ['?state=dead', '?limit=0', '?limit=1001', '?after=x', '?user=']) {
      expect((await fetch(`${t.gateway.url}${MONITOR}${query}`)).status).toBe(400)
    }
  })

  it('answers page by page, each connection once, also when the last of a page has gone', async () => {
    await using t = await busyGateway()
    const all = (await t.ask()).connections.map(({ connectionId }) => connectionId)
    const seen: string[] = []
    for (let next: string | undefined = ''; next !== undefined; ) {
      const page: Page = await t.ask(`?limit=4${next === '' ? '' : `&after=${encodeURIComponent(next)}`}`)
      seen.push(...page.connections.map(({ connectionId }) => connectionId))
      next = page.next
      t.gateway.deps.hub.local.close(seen.at(-1) ?? '')
    }
    expect(seen).toEqual(all)
  })

  it('is for admins', async () => {
    await using gateway = await startGateway()
    const status = async (query: string) => (await fetch(`${gateway.url}${MONITOR}?${query}`)).status
    expect(await status('token=test-token')).toBe(200)
    expect(await status('token=alice-token')).toBe(403)
    expect(await status('userId=ann')).toBe(403)
    expect(await status('token=none')).toBe(401)
  })
})
