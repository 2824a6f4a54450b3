import { dataOf, EventCollector } from '@tributary/testkit'
import { describe, expect, it } from 'vitest'
import { logged, postJson, startGateway } from './services.ts'

const CONNECT = '/api/sse/managed/connect'
const alice = { authorization: 'Bearer alice-token' }
const bob = { authorization: 'Bearer bob-token' }

/** Waits until a mark has come, which everybody gets; what came before it is all there is. */
async function settle(gateway: { url: string }, ...readers: EventCollector[]): Promise<void> {
  await postJson(`${gateway.url}/api/sse/managed/broadcast`, { event: 'mark' })
  await Promise.all(readers.map((reader) => reader.waitFor('mark')))
}

const received = (reader: EventCollector) =>
  logged(reader)
    .filter(({ type }) => type !== 'mark')
    .map(({ type, data }) => [type, data])

describe('a managed stream', () => {
  it.each([
    ['?token=', '?token=alice-token', {}],
    ['Authorization', '', alice],
    ['X-Auth-Token', '', { 'x-auth-token': 'alice-token' }],
  ])('takes its user from %s', async (_, query, headers) => {
    await using gateway = await startGateway()
    await using reader = await EventCollector.open(gateway.url + CONNECT + query, { headers })
    await reader.waitFor('connection')
    expect(gateway.deps.hub.local.connectionsOfUser('alice')).toHaveLength(1)
  })

  it.each([
    ['?token=', '?token=none', {}],
    ['?token= with nothing', '?token=', {}],
    ['Authorization', '', { authorization: 'Bearer none' }],
    ['X-Auth-Token', '', { 'x-auth-token': 'none' }],
    ['one of two', '?token=none', alice],
  ])('is refused, and never anonymous, where the token in %s is not known', async (_, query, headers) => {
    await using gateway = await startGateway()
    for (const path of [CONNECT, '/api/sse', '/api/realtime/sse', `${CONNECT}/group/g`]) {
      const answer = await fetch(gateway.url + path + query, { headers })
      expect(answer.status).toBe(401)
      expect(await answer.json()).toMatchObject({ code: 'token_unknown' })
    }
    expect(gateway.deps.hub.local.count()).toBe(0)
  })

  it('is in the groups of its path and its query, and joins and leaves others while it is open', async () => {
    await using gateway = await startGateway()
    await using reader = await EventCollector.open(`${gateway.url}${CONNECT}/group/a?groups=b,%20c`, {
      headers: alice,
    })
    const { clientId } = await dataOf(reader, 'connection')
    const send = (group: string) =>
      postJson(`${gateway.url}/api/sse/managed/broadcast/group/${group}`, { event: group, data: 1 })
    const subscriptions = `${gateway.url}/api/sse/managed/connections/${clientId}/subscriptions`
    for (const group of ['a', 'b', 'c', 'd']) await send(group)
    const changed = await postJson(subscriptions, { join: ['d'], leave: ['a'] })
    expect(await changed.json()).toEqual({ connectionId: clientId, groups: ['b', 'c', 'd'] })
    for (const group of ['a', 'd']) await send(group)
    await settle(gateway, reader)
    expect(received(reader).map(([type]) => type)).toEqual(['a', 'b', 'c', 'd'])
  })

  it('gets what its metadata matches', async () => {
    await using gateway = await startGateway()
    const open = (metadata: object) =>
      EventCollector.open(`${gateway.url}${CONNECT}?metadata=${encodeURIComponent(JSON.stringify(metadata))}`)
    await using premium = await open({ premium: true, plan: 'gold' })
    await using plain = await open({ premium: false })
    await Promise.all([premium.waitFor('connection'), plain.waitFor('connection')])
    const send = (where: object, data: unknown) =>
      postJson(`${gateway.url}/api/sse/managed/send/filtered`, { where, event: 'offer', data })
    expect(await (await send({ premium: true }, 1)).json()).toMatchObject({ success: true, delivered: 1 })
    expect(await (await send({ premium: true, plan: 'silver' }, 2)).json()).toMatchObject({ delivered: 0 })
    await settle(gateway, premium, plain)
    expect(received(premium)).toEqual([['offer', 1]])
    expect(received(plain)).toEqual([])
  })

  it('gets only the types it asks for, and control frames always', async () => {
    await using gateway = await startGateway({ env: { HEARTBEAT_MS: '50' } })
    await using reader = await EventCollector.open(`${gateway.url}${CONNECT}?events=wanted,mark`)
    await reader.waitFor('connection')
    for (const event of ['wanted', 'other'])
      await postJson(`${gateway.url}/api/sse/managed/broadcast`, { event, data: 1 })
    await settle(gateway, reader)
    const heartbeat = await reader.waitFor('heartbeat')
    expect(heartbeat.id).toMatch(/^\d+-\d+$/)
    expect(received(reader)).toEqual([['wanted', 1]])
  })

  it('ends at its timeout and says so, and resumes with what came between', async () => {
    await using gateway = await startGateway()
    await using reader = await EventCollector.open(`${gateway.url}${CONNECT}?timeout=100`, { headers: alice })
    await reader.ended
    expect(await dataOf(reader, 'disconnected')).toEqual({ reason: 'timeout', reconnect: true })
    await postJson(`${gateway.url}/api/sse/managed/send/user/alice`, { event: 'between', data: 1 })
    await using again = await EventCollector.open(gateway.url + CONNECT, {
      headers: { ...alice, 'last-event-id': String(reader.lastEventId) },
    })
    expect((await again.waitFor('between')).data).toBe(1)
    expect(await dataOf(again, 'connection')).toMatchObject({ resumed: true })
  })

  it('shows whole events where it asks for the envelope', async () => {
    await using gateway = await startGateway()
    await using reader = await EventCollector.open(`${gateway.url}${CONNECT}?format=envelope`, {
      headers: alice,
    })
    await reader.waitFor('connection')
    const metadata = { correlationId: 'c-1' }
    const body = { event: 'note', data: [1], priority: 'high', metadata }
    await postJson(`${gateway.url}/api/sse/managed/send/user/alice`, body, {
      authorization: 'Bearer test-token',
    })
    const note = await reader.waitFor('note')
    expect(note.data).toEqual({
      id: note.id,
      type: 'note',
      data: [1],
      timestamp: expect.any(Number),
      priority: 'high',
      source: 'demo',
      version: '1',
      metadata,
    })
  })
})

describe('a send', () => {
  it.each<[string, string, object, string[]]>([
    ['a user', '/api/sse/managed/send/user/alice', { event: 'x', data: 1 }, ['alice']],
    ['a group', '/api/sse/managed/broadcast/group/g', { event: 'x', data: 1 }, ['alice', 'bob']],
    ['all', '/api/sse/managed/broadcast', { event: 'x', data: 1 }, ['alice', 'bob', 'admin']],
    ['a session', '/api/sse', { event: 'x', data: 1, sessionId: 's-bob' }, ['bob']],
    ['users', '/api/sse', { event: 'x', data: 1, userIds: ['alice', 'bob'] }, ['alice', 'bob']],
    ['a role', '/api/sse', { event: 'x', data: 1, roles: ['admin'] }, ['admin']],
    [
      'users and groups',
      '/api/sse',
      { event: 'x', data: 1, userIds: ['alice'], groups: ['g'] },
      ['alice', 'bob'],
    ],
    ['everyone', '/api/sse', { event: 'x', data: 1 }, ['alice', 'bob', 'admin']],
    [
      'a user in a session',
      '/api/sse',
      { event: 'x', data: 1, userId: 'alice', sessionId: 's-alice' },
      ['alice'],
    ],
    [
      'a user in the session of another',
      '/api/sse',
      { event: 'x', data: 1, userId: 'alice', sessionId: 's-bob' },
      [],
    ],
    ['a user, narrowed', '/api/sse', { event: 'x', data: 1, userId: 'alice', where: { vip: false } }, []],
    ['nobody, once', '/api/sse', { event: 'x', data: 1, ephemeral: true, groups: ['none'] }, []],
    [
      'a group, unstored',
      '/api/sse',
      { event: 'x', data: 1, ephemeral: true, groups: ['g'] },
      ['alice', 'bob'],
    ],
    [
      'a test to a group',
      '/api/realtime/test',
      { type: 'x', data: 1, target: 'group', targetValue: 'g' },
      ['alice', 'bob'],
    ],
  ])('to %s reaches them and nobody else', async (_, path, body, expected) => {
    await using gateway = await startGateway()
    const open = (query: string, headers: Record<string, string>) =>
      EventCollector.open(`${gateway.url}${CONNECT}?${query}`, { headers })
    const readers = {
      alice: await open('groups=g&sessionId=s-alice&metadata={"vip":true}', alice),
      bob: await open('groups=g&sessionId=s-bob', bob),
      admin: await open('', { authorization: 'Bearer test-token' }),
    }
    await Promise.all(Object.values(readers).map((reader) => reader.waitFor('connection')))
    const answer = await (await postJson(gateway.url + path, body)).json()
    const ephemeral = 'ephemeral' in body
    expect(answer).toEqual({
      success: true,
      id: ephemeral ? null : expect.stringMatching(/^\d+-\d+$/),
      delivered: expected.length,
    })
    await settle(gateway, ...Object.values(readers))
    for (const [name, reader] of Object.entries(readers)) {
      expect([name, received(reader)]).toEqual([name, expected.includes(name) ? [['x', 1]] : []])
      await reader.close()
    }
  })

  it.each([
    [{ hello: 'world' }, 'message', { hello: 'world' }],
    [['a'], 'message', ['a']],
    ['text', 'message', 'text'],
    [{ data: 0 }, 'message', 0],
    [{ event: 'named' }, 'named', null],
  ])('of %j is a %s of %j', async (body, type, data) => {
    await using gateway = await startGateway()
    await using reader = await EventCollector.open(gateway.url + CONNECT, { headers: alice })
    await reader.waitFor('connection')
    await postJson(`${gateway.url}/api/sse/managed/send/user/alice`, body)
    await settle(gateway, reader)
    expect(received(reader)).toEqual([[type, data]])
  })
})

describe('a send with an Idempotency-Key', () => {
  const admin = { authorization: 'Bearer test-token' }
  const ROUTES: [string, object][] = [
    ['/api/sse/managed/send/user/alice', { event: 'x', data: 1 }],
    ['/api/sse/managed/broadcast/group/g', { event: 'x', data: 1 }],
    ['/api/sse/managed/broadcast', { event: 'x', data: 1 }],
    ['/api/sse/managed/broadcast', { event: 'x', data: 1, ephemeral: true }],
    ['/api/sse/managed/send/filtered', { where: {}, event: 'x', data: 1 }],
    ['/api/sse', { event: 'x', data: 1, userId: 'alice' }],
    ['/api/realtime/test', { type: 'x', data: 1, target: 'user', targetValue: 'alice' }],
  ]

  it.each(ROUTES)('to %s (%j) is sent once', async (path, body) => {
    await using gateway = await startGateway()
    await using reader = await EventCollector.open(`${gateway.url}${CONNECT}/group/g`, { headers: alice })
    await reader.waitFor('connection')
    const send = (key: string, said: object = body) =>
      postJson(gateway.url + path, said, { ...admin, 'idempotency-key': key })
    const answers = await Promise.all(['key 1', 'key 1', 'key 1'].map((key) => send(key)))
    const replayed = answers.map(({ headers }) => headers.get('idempotent-replayed')).sort()
    expect(replayed).toEqual([null, 'true', 'true'])
    const sent = await Promise.all(answers.map((answer) => answer.json()))
    expect(new Set(sent.map(({ id }) => id)).size).toBe(1)
    expect(sent.map(({ delivered }) => delivered).sort()).toEqual([0, 0, 1])
    const other = await send('key 1', { ...body, data: 2 })
    expect([other.status, await other.json()]).toMatchObject([422, { code: 'idempotency_conflict' }])
    expect((await send('key 2')).headers.get('idempotent-replayed')).toBeNull()
    await settle(gateway, reader)
    expect(received(reader)).toHaveLength(2)
  })

  it('is another where another user sends it', async () => {
    await using gateway = await startGateway()
    const send = (headers: Record<string, string>) =>
      postJson(
        `${gateway.url}/api/sse/managed/broadcast`,
        { data: 1 },
        { ...headers, 'idempotency-key': 'k' },
      )
    const ids = await Promise.all(
      [send(admin), send({})].map(async (answer) => (await (await answer).json()).id),
    )
    expect(new Set(ids).size).toBe(2)
  })

  it.each(['x'.repeat(257), 'a\u00e9', 'a\tb'])('that is none (%j) is refused', async (key) => {
    await using gateway = await startGateway()
    const answer = await postJson(`${gateway.url}/api/sse/managed/broadcast`, 1, { 'idempotency-key': key })
    expect([answer.status, await answer.json()]).toMatchObject([
      400,
      { code: 'invalid_request', errors: [{ path: 'headers/idempotency-key' }] },
    ])
  })
})

describe('the connections', () => {
  it('are counted by user and group, under the keys that clients know', async () => {
    await using gateway = await startGateway()
    const open = (path: string, headers: Record<string, string>) =>
      EventCollector.open(gateway.url + CONNECT + path, { headers })
    await using one = await open('?groups=g,h', alice)
    await using two = await open('/group/g', alice)
    await using three = await open('', bob)
    await Promise.all([one, two, three].map((reader) => reader.waitFor('connection')))
    const ask = async (path: string) => (await fetch(`${gateway.url}/api/sse/managed/${path}`)).json()
    const counts = {
      totalEmitters: 3,
      totalUsers: 2,
      totalGroups: 2,
      emittersByUser: { alice: 2, bob: 1 },
      emittersByGroup: { g: 2, h: 1 },
      connectionStates: { connecting: 0, connected: 3, idle: 0, stale: 0, disconnecting: 0 },
    }
    const local = { ...counts, nodeId: gateway.deps.hub.local.nodeId }
    expect(await ask('status')).toEqual({ ...counts, local })
    expect(await ask('status/user/alice')).toMatchObject({
      userId: 'alice',
      connected: true,
      connectionCount: 2,
    })
    expect(await ask('status/user/carol')).toEqual({
      userId: 'carol',
      connected: false,
      connectionCount: 0,
      connections: [],
      local: { connectionCount: 0 },
    })
    expect(await ask('status/group/g')).toMatchObject({ groupId: 'g', connectionCount: 2, users: ['alice'] })
    const { clientId } = await dataOf(three, 'connection')
    expect(await ask(`connections/${clientId}`)).toMatchObject({
      connectionId: clientId,
      userId: 'bob',
      groups: [],
    })
    expect(await ask('connections')).toMatchObject({ connections: { length: 3 } })
    expect(await ask('connections/none')).toMatchObject({ code: 'connection_not_found', status: 404 })
  })

  it('are closed one by one with a reason, and all together', async () => {
    await using gateway = await startGateway()
    const open = () => EventCollector.open(gateway.url + CONNECT, { headers: alice })
    await using first = await open()
    await using second = await open()
    await using third = await open()
    const { clientId } = await dataOf(first, 'connection')
    const remove = async (path: string) =>
      (await fetch(`${gateway.url}/api/sse/managed/connections${path}`, { method: 'DELETE' })).json()
    expect(await remove(`/${clientId}?reason=Enough`)).toEqual({
      success: true,
      closed: 1,
      local: { closed: 1 },
      acknowledged: [expect.any(String)],
    })
    await first.ended
    expect(await dataOf(first, 'disconnected')).toEqual({
      reason: 'forced',
      reconnect: false,
      message: 'Enough',
    })
    expect(first.retries.at(-1)).toBe(86_400_000)
    const cursor = { ...alice, 'last-event-id': String(first.lastEventId) }
    expect((await fetch(gateway.url + CONNECT, { headers: cursor })).status).toBe(204)
    expect(await remove(`/${clientId}`)).toMatchObject({ code: 'connection_not_found' })
    expect(await remove('')).toMatchObject({ success: true, closed: 2, local: { closed: 2 } })
    await Promise.all([second.ended, third.ended])
    expect(await dataOf(third, 'disconnected')).toEqual({ reason: 'forced', reconnect: false })
    expect(gateway.deps.hub.local.count()).toBe(0)
  })
})
