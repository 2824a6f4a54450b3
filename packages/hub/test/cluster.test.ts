import { describeWithRedis } from '@tributary/testkit/vitest'
import { expect, it } from 'vitest'
import { openClusterHub } from './cluster-hub.ts'
import type { MemorySink } from './memory-sink.ts'

const TOLD = { timeout: 10_000 }

const toldTo = (sink: MemorySink) =>
  sink.events.flatMap(({ type, data }) => {
    if (!type.startsWith('presence_') || typeof data !== 'object' || data === null) return []
    return 'userId' in data && data.userId !== 'watcher' ? [`${type} ${data.userId}`] : []
  })
const reasonOf = (sink: MemorySink) => sink.events.find(({ type }) => type === 'disconnected')?.data

describeWithRedis('hubs that are nodes of a cluster', (redis) => {
  const openTwo = async (options: Partial<Parameters<typeof openClusterHub>[2]> = {}) => {
    const prefix = redis.prefix()
    const a = await openClusterHub(redis.url, prefix, { ...options, nodeId: 'a' })
    const b = await openClusterHub(redis.url, prefix, { ...options, nodeId: 'b' })
    return {
      a,
      b,
      [Symbol.asyncDispose]: async () =>
        void (await Promise.all([a, b].map((n) => n[Symbol.asyncDispose]()))),
    }
  }

  it('keep a user to so many connections together, and refuse no more than that', async () => {
    await using two = await openTwo({ maxConnectionsPerUser: 2 })
    const { a, b } = two
    const first = await a.connect({ userId: 'ann' })
    await b.connect({ userId: 'ann' })
    await expect(a.connect({ userId: 'ann' })).rejects.toMatchObject({ code: 'user_connection_limit' })
    await expect(b.connect({ userId: 'ann' })).rejects.toMatchObject({ code: 'user_connection_limit' })
    first.sink.leave()
    await b.connect({ userId: 'ann' })
    expect(await a.hub.countForUser('ann')).toBe(2)
    expect([a.hub.local.countForUser('ann'), b.hub.local.countForUser('ann')]).toEqual([0, 2])
  })

  it('let nobody get what is for a name that is written like his', async () => {
    await using two = await openTwo()
    const { a, b } = two
    // In UTF-8 each of the halves is written as this.
    const written = '\ufffd'
    const same = await b.connect({ userId: written, groups: [written], roles: [written], sessionId: written })
    const refused = { code: 'invalid_request', message: expect.stringContaining('half of a surrogate pair') }
    for (const half of ['\ud800', '\ud801', '\udc00']) {
      const named = [{ userId: half }, { sessionId: half }, { groups: [half] }, { roles: [half] }]
      for (const options of [...named, { connectionId: half }]) {
        await expect(a.connect(options)).rejects.toMatchObject(refused)
      }
      for (const options of named) await expect(a.hub.poll(options)).rejects.toMatchObject(refused)
      for (const send of ['sendToUser', 'sendToGroup', 'sendToSession', 'sendToConnection'] as const) {
        for (const options of [{}, { ephemeral: true }]) {
          await expect(a.hub[send](half, 'secret', 1, options)).rejects.toMatchObject(refused)
        }
      }
      const { connectionId } = same.connection
      await expect(b.hub.addToGroup(connectionId, half)).rejects.toMatchObject(refused)
      await expect(b.hub.refresh(connectionId, { roles: [half] })).rejects.toMatchObject(refused)
    }
    expect(await a.hub.count()).toBe(1)
    const data = { whole: '\ud83d\ude42', half: '\ud800', '\udc00': written }
    await a.hub.sendToUser(written, 'own', data)
    await expect.poll(() => same.sink.received, TOLD).toEqual([data])
  })

  it('end the oldest for a new one, at whichever node it is', async () => {
    await using two = await openTwo({ maxConnectionsPerUser: 1, connectionLimitPolicy: 'replace' })
    const { a, b } = two
    const old = await a.connect({ userId: 'ann' })
    const { sink } = await b.connect({ userId: 'ann' })
    await expect.poll(() => reasonOf(old.sink), TOLD).toEqual({ reason: 'replaced', reconnect: false })
    expect(reasonOf(sink)).toBeUndefined()
    expect(await a.hub.count()).toBe(1)
  })

  it('keep to so many connections in all', async () => {
    await using two = await openTwo({ maxConnectionsCluster: 2 })
    await two.a.connect({ userId: 'ann' })
    await two.b.connect({})
    const refused = {
      code: 'too_many_connections',
      message: expect.stringContaining('MAX_CONNECTIONS_CLUSTER'),
    }
    await expect(two.a.connect({ userId: 'bob' })).rejects.toMatchObject(refused)
    await expect(two.b.connect({})).rejects.toMatchObject(refused)
  })

  it('take who comes back from a node that died, for his own old connections', async () => {
    await using two = await openTwo({ maxConnectionsPerUser: 1 })
    await two.a.connect({ connectionId: 'tab', userId: 'ann' })
    await two.a.cut()
    const { sink } = await two.b.connect({ connectionId: 'tab', userId: 'ann' })
    expect(sink.types).toEqual(['connection'])
    await expect(two.b.connect({ userId: 'ann' })).rejects.toMatchObject({ code: 'user_connection_limit' })
  })

  it('answer for all of them, say their own share, and close at any of them', async () => {
    await using two = await openTwo()
    const { a, b } = two
    const ann = await a.connect({ connectionId: 'ann-1', userId: 'ann', groups: ['g'] })
    await b.connect({ userId: 'ann', groups: ['g', 'h'] })
    const bob = await b.connect({ userId: 'bob', groups: ['g'] })
    expect(await a.hub.status()).toMatchObject({
      totalEmitters: 3,
      totalUsers: 2,
      emittersByUser: { ann: 2, bob: 1 },
      emittersByGroup: { g: 3, h: 1 },
      connectionStates: { connected: 3 },
      local: { nodeId: 'a', totalEmitters: 1 },
    })
    expect(await b.hub.isConnected('ann')).toBe(true)
    expect(await a.hub.isConnected('bob')).toBe(true)
    expect(await a.hub.isConnected('cat')).toBe(false)
    const seen: string[] = []
    let after: string | undefined
    do {
      const page = await a.hub.connections({
        limit: 1,
        group: 'g',
        ...(after === undefined ? {} : { after }),
      })
      seen.push(...page.connections.map(({ nodeId, userId }) => `${nodeId} ${userId}`))
      expect(page.unreachable).toEqual([])
      after = page.next
    } while (after !== undefined)
    expect(seen.toSorted()).toEqual(['a ann', 'b ann', 'b bob'])
    expect(await b.hub.nodeOf('ann-1')).toBe('a')
    expect(await b.hub.close('ann-1', 'enough')).toMatchObject({
      closed: 1,
      local: 0,
      acknowledged: expect.arrayContaining(['a', 'b']),
      unreachable: [],
    })
    expect(reasonOf(ann.sink)).toMatchObject({ reason: 'forced', message: 'enough' })
    expect(await a.hub.sendHealthCheck()).toMatchObject({ connections: 2, sent: 2 })
    expect(await a.hub.closeUser('bob')).toMatchObject({ closed: 1, local: 0 })
    expect(reasonOf(bob.sink)).toMatchObject({ reason: 'forced' })
    expect(await a.hub.closeAll()).toMatchObject({ closed: 1 })
    await expect.poll(() => a.hub.count(), TOLD).toBe(0)
  })

  it('tell of who comes and goes, once, wherever that is', async () => {
    await using two = await openTwo()
    const { a, b } = two
    const { sink } = await a.connect({ userId: 'watcher', groups: ['g'], presence: true })
    const other = await b.connect({ userId: 'watcher', groups: ['g'], presence: true })
    const tabs = [
      await a.connect({ userId: 'ann', groups: ['g'] }),
      await b.connect({ userId: 'ann', groups: ['g'] }),
    ]
    await expect.poll(() => toldTo(sink), TOLD).toEqual(['presence_join ann'])
    const { users } = await b.hub.presenceOfGroup('g', { limit: 10 })
    expect(users).toMatchObject([{ userId: 'ann', connectionCount: 2 }, { userId: 'watcher' }])
    for (const tab of tabs) tab.sink.leave()
    const all = ['presence_join ann', 'presence_leave ann']
    await expect.poll(() => toldTo(sink), TOLD).toEqual(all)
    await expect.poll(() => toldTo(other.sink), TOLD).toEqual(all)
    await expect.poll(() => b.hub.presenceOfUser('ann'), TOLD).toMatchObject({ online: false })
  })

  it('tell of who was at a node that died that he has left, each once, and remove what it had', async () => {
    const prefix = redis.prefix()
    await using a = await openClusterHub(redis.url, prefix, { nodeId: 'a' })
    await using b = await openClusterHub(redis.url, prefix, { nodeId: 'b' })
    await using c = await openClusterHub(redis.url, prefix, { nodeId: 'c' })
    const watchers = [
      await a.connect({ userId: 'watcher', groups: ['g'], presence: true }),
      await b.connect({ userId: 'watcher', groups: ['g'], presence: true }),
    ]
    const names = Array.from({ length: 20 }, (_, i) => `u${i}`)
    await Promise.all(names.map((userId) => c.connect({ userId, groups: ['g'] })))
    // One of them is elsewhere, too.
    await b.connect({ userId: 'u7', groups: ['g'] })
    await c.cut()
    const expected = [
      ...names.map((name) => `presence_join ${name}`),
      ...names.filter((name) => name !== 'u7').map((name) => `presence_leave ${name}`),
    ].toSorted()
    for (const { sink } of watchers) {
      await expect.poll(() => toldTo(sink).toSorted(), TOLD).toEqual(expected)
    }
    await expect.poll(() => a.hub.count(), TOLD).toBe(3)
    expect((await a.hub.presenceOfGroup('g', { limit: 100 })).users.map(({ userId }) => userId)).toEqual([
      'u7',
      'watcher',
    ])
  })

  it('mend what Redis has lost of their connections', async () => {
    const prefix = redis.prefix()
    await using a = await openClusterHub(redis.url, prefix, { nodeId: 'a' })
    await using b = await openClusterHub(redis.url, prefix, { nodeId: 'b' })
    await a.connect({ connectionId: 'ann-1', userId: 'ann', groups: ['g'] })
    await b.connect({ userId: 'bob', groups: ['g'] })
    await a.redis.call(async (client) => client.del(...(await client.keys(`${prefix}:{hub:who}:*`))))
    expect(await b.hub.count()).toBe(0)
    expect(await a.hub.reconcile()).toEqual({ restored: 1, removed: 0, moved: 0 })
    expect(await b.hub.reconcile()).toEqual({ restored: 1, removed: 0, moved: 0 })
    expect(await a.hub.reconcile()).toEqual({ restored: 0, removed: 0, moved: 0 })
    expect(await a.hub.count()).toBe(2)
    await a.redis.call((client) => client.del(`${prefix}:{hub:who}:connections`))
    const faults = await a.hub.registryFaults()
    expect(faults).toMatchObject([{ kind: 'missing_in_cluster', detail: expect.stringContaining('ann-1') }])
    for (const fault of faults) await fault.correct()
    expect(await a.hub.registryFaults()).toEqual([])
  })

  it('take over what a cluster left that died as a whole', async () => {
    const prefix = redis.prefix()
    {
      await using a = await openClusterHub(redis.url, prefix, { nodeId: 'a' })
      await using b = await openClusterHub(redis.url, prefix, { nodeId: 'b' })
      const { sink } = await a.connect({ userId: 'watcher', groups: ['g'], presence: true })
      for (const node of [a, b]) await node.connect({ userId: 'ann', groups: ['g'] })
      await expect.poll(() => toldTo(sink), TOLD).toEqual(['presence_join ann'])
      await Promise.all([a.cut(), b.cut()])
    }
    await using c = await openClusterHub(redis.url, prefix, { nodeId: 'c' })
    await expect.poll(() => c.hub.count(), TOLD).toBe(0)
    await expect.poll(async () => (await c.hub.presenceOfGroup('g', { limit: 10 })).userCount, TOLD).toBe(0)
    const { sink } = await c.connect({ userId: 'watcher', groups: ['g'], presence: true, lastEventId: '0' })
    await expect.poll(() => toldTo(sink), TOLD).toEqual(['presence_join ann', 'presence_leave ann'])
  })
})
