import { EventCollector } from '@tributary/testkit'
import { expect, it } from 'vitest'
import type { HostileCase } from './hostile-case.ts'
import { HostileWorld, inHostileWorld } from './hostile-world.ts'
import { forge, tokenOf } from './tokens.ts'

const hostile = inHostileWorld()
const MANAGED = '/api/sse/managed'
const SEND = { event: 'forged', data: 1 }

const bearer = (claims: Readonly<Record<string, unknown>>) => ({
  Authorization: `Bearer ${forge({ claims })}`,
})
const may = (...publish: string[]) => bearer({ sub: 'sender', publish })

/** A send that the claim does not allow. */
const sends = (publish: readonly string[], path: string, body: unknown): HostileCase => ({
  name: `${publish.join(', ') || 'nothing'}: ${path} ${JSON.stringify(body)}`,
  path,
  headers: may(...publish),
  body,
  status: 403,
  code: 'forbidden',
})
const publishes = (publish: readonly string[], audience: object) =>
  sends(publish, '/api/sse', { ...SEND, ...audience })

hostile('who may send to some sends to no other', [
  sends([], `${MANAGED}/send/user/healthy`, SEND),
  sends(['user:bob'], `${MANAGED}/send/user/healthy`, SEND),
  sends(['user:health'], `${MANAGED}/send/user/healthy`, SEND),
  sends(['user:Healthy'], `${MANAGED}/send/user/healthy`, SEND),
  sends(['group:healthy'], `${MANAGED}/send/user/healthy`, SEND),
  sends(['all'], `${MANAGED}/send/user/healthy`, SEND),
  sends(['user:%68ealthy'], `${MANAGED}/send/user/%68ealthy`, SEND),
  sends(['user:*'], `${MANAGED}/broadcast`, SEND),
  sends(['user:*'], `${MANAGED}/broadcast/group/g`, SEND),
  sends(['group:chat-*'], `${MANAGED}/broadcast/group/chat`, SEND),
  sends(['group:chat-*'], `${MANAGED}/broadcast/group/news`, SEND),
  sends(['user:*', 'group:*', 'role:*'], `${MANAGED}/broadcast`, SEND),
  sends(['user:*'], `${MANAGED}/send/filtered`, { ...SEND, where: { a: 1 } }),
  sends(['user:healthy'], `${MANAGED}/send/filtered`, { ...SEND, where: { userId: 'healthy' } }),
  publishes(['user:*'], {}),
  publishes(['user:*'], { where: {} }),
  publishes(['user:bob'], { userId: 'healthy' }),
  publishes(['user:bob'], { userIds: ['bob', 'healthy'] }),
  publishes(['user:bob'], { userId: 'bob', userIds: ['healthy'] }),
  publishes(['user:bob'], { userId: 'bob', groups: ['g'] }),
  publishes(['user:bob'], { userId: 'bob', roles: ['admin'] }),
  publishes(['user:bob'], { userIds: ['bob'], groups: ['g'] }),
  publishes(['group:g'], { groups: ['g', 'h'] }),
  publishes(['group:g'], { groups: ['g'], roles: ['ops'] }),
  publishes(['role:ops'], { roles: ['admin'] }),
  publishes(['session:mine'], { sessionId: 'theirs' }),
  publishes(['user:*'], { sessionId: 'theirs' }),
  publishes(['connection:a'], { clientIds: ['a', 'b'] }),
  publishes(['user:*'], { clientIds: ['b'] }),
  sends(['*'], '/api/realtime/test', { type: 'forged', target: 'broadcast' }),
])

hostile('a claim of what may be sent to that is none', [
  ...[
    '',
    'everyone',
    'users:*',
    'user:',
    'USER:*',
    'user',
    '**',
    'all:',
    'admin',
    'user:a\r\nb',
    7,
    null,
    { all: 1 },
  ].map(
    (pattern): HostileCase => ({
      name: JSON.stringify(pattern),
      path: '/api/sse',
      headers: bearer({ publish: [pattern] }),
      body: SEND,
      status: 401,
      code: 'token_invalid',
    }),
  ),
  {
    name: 'a text instead of a list',
    path: '/api/sse',
    headers: bearer({ publish: '*' }),
    body: SEND,
    status: 401,
    code: 'token_invalid',
  },
  {
    name: 'in the body of the send',
    path: '/api/sse',
    as: 'user',
    body: { ...SEND, publish: ['*'] },
    status: 403,
    code: 'forbidden',
  },
  {
    name: 'in the address',
    path: '/api/sse?publish=*&roles=admin&role=publisher',
    as: 'user',
    body: SEND,
    status: 403,
    code: 'forbidden',
  },
])

const connects = (query: string, claims: object, path = `${MANAGED}/connect`): HostileCase => ({
  name: `${path}${query} with ${JSON.stringify(claims)}`,
  path: path + query,
  headers: bearer({ sub: 'user', ...claims }),
  status: 403,
  code: 'forbidden',
})

hostile('a group that may not be joined is not', [
  connects('?groups=staff', { groups: ['news'] }),
  connects('?groups=news,staff', { groups: ['news'] }),
  connects('?groups=news,%20staff', { groups: ['news'] }),
  connects('?groups=new', { groups: ['news'] }),
  connects('?groups=News', { groups: ['news'] }),
  connects('?groups=news%2A', { groups: ['news'] }),
  connects('?groups=%2A', { groups: ['news'] }),
  connects('?groups=chat', { groups: ['chat-*'] }),
  connects('?groups=staff', { groups: [] }),
  connects('', { groups: ['news'] }, `${MANAGED}/connect/group/staff`),
  connects('', { groups: ['news'] }, `${MANAGED}/connect/group/news%2Cstaff`),
  connects('?groups=staff', { groups: ['news'] }, `${MANAGED}/connect/group/news`),
  connects('?groups=staff', { groups: ['news'] }, '/api/sse'),
  connects('?groups=staff', { groups: ['news'] }, '/api/realtime/sse'),
  connects('?groups=staff', { groups: ['news'] }, '/api/realtime/polling'),
  connects('?groups=staff&since=0', { groups: ['news'] }, '/api/realtime/polling'),
])

hostile('metadata that somebody says of himself is not taken', [
  connects('?metadata={"plan":"pro"}', {}),
  connects('?metadata=%7B%22plan%22%3A%22pro%22%7D', {}),
  connects('?metadata={"__proto__":{"plan":"pro"}}', {}),
  connects('?metadata={"plan":"pro"}', {}, '/api/realtime/polling'),
])

it('whoever names a session, a role, an id or metadata of somebody else gets nothing of it', async () => {
  await using world = await HostileWorld.start()
  const { hub } = world.gateway.deps
  const open = (query: string, claims: Readonly<Record<string, unknown>>) =>
    EventCollector.open(`${world.gateway.url}${MANAGED}/connect?${query}`, { headers: bearer(claims) })
  await using alice = await open('sessionId=s1', { sub: 'alice', metadata: { plan: 'pro' } })
  await alice.waitFor('connection')
  const [hers] = hub.local.connectionsOfUser('alice')
  const id = hers?.connectionId ?? ''
  await using bob = await open(
    `roles=admin&role=admin&userId=alice&connectionId=${id}&clientId=${id}&emitterId=${id}&plan=pro&user=alice`,
    { sub: 'bob' },
  )
  await bob.waitFor('connection')
  const [his] = hub.local.connectionsOfUser('bob')
  expect(his?.connectionId).not.toBe(id)
  expect(his?.view()).toMatchObject({ userId: 'bob', roles: [], metadata: {}, groups: [] })
  for (const path of [`${MANAGED}/connect`, '/api/sse', '/api/realtime/sse', '/api/realtime/polling']) {
    for (const query of ['sessionId=s1', 'sessionId=s1&lastEventId=0', 'sessionId=%731&since=0']) {
      await world.hold({
        name: query,
        path: `${path}?${query}`,
        headers: bearer({ sub: 'bob' }),
        status: 403,
        code: 'forbidden',
      })
    }
  }
  await hub.sendToSession('s1', 'secret', 1)
  await hub.sendToConnection(id, 'secret', 2)
  await hub.sendFiltered({ plan: 'pro' }, 'secret', 3)
  await hub.publish({ roles: ['admin'] }, 'secret', 4)
  await hub.broadcast('end', 5)
  await Promise.all([alice.waitFor('end'), bob.waitFor('end')])
  const secrets = ({ events }: EventCollector) => events.filter(({ type }) => type === 'secret').length
  expect([secrets(alice), secrets(bob)]).toEqual([3, 0])
  // Also not later, when she is away, and not of what was kept.
  await alice.close()
  const again = await fetch(`${world.gateway.url}/api/realtime/polling?since=0&sessionId=s1`, {
    headers: bearer({ sub: 'bob' }),
  })
  expect(again.status).toBe(403)
  const mine = await fetch(`${world.gateway.url}/api/realtime/polling?since=0&sessionId=s1`, {
    headers: bearer({ sub: 'alice', metadata: { plan: 'pro' } }),
  })
  expect((await mine.json()).events.map(({ type }: { type: string }) => type)).toContain('secret')
})

it('a claim lets its user send to what it names, and the event arrives', async () => {
  await using world = await HostileWorld.start()
  await using reader = await EventCollector.open(
    `${world.gateway.url}${MANAGED}/connect?groups=chat-7&token=${tokenOf('user')}`,
  )
  await reader.waitFor('connection')
  const good: [string[], string, object][] = [
    [['user:user'], `${MANAGED}/send/user/user`, SEND],
    [['group:chat-*'], `${MANAGED}/broadcast/group/chat-7`, SEND],
    [['group:chat-*'], '/api/sse', { ...SEND, groups: ['chat-7'] }],
    [['user:us*'], '/api/sse', { ...SEND, userId: 'user', clientIds: ['x'] }],
    [['all'], `${MANAGED}/send/filtered`, { ...SEND, where: { nobody: true } }],
  ]
  for (const [publish, path, body] of good) {
    await world.hold({ name: path, path, headers: may(...publish), body, status: 200 })
  }
  await expect.poll(() => reader.events.filter(({ type }) => type === 'forged').length).toBe(3)
})

it('a stream joins no group that its own token does not name, whatever other token its user has', async () => {
  await using world = await HostileWorld.start()
  const { hub } = world.gateway.deps
  const narrow = bearer({ sub: 'user', groups: ['news'] })
  await using stream = await EventCollector.open(`${world.gateway.url}${MANAGED}/connect`, {
    headers: narrow,
  })
  await stream.waitFor('connection')
  const [connection] = hub.local.connectionsOfUser('user')
  const path = `${MANAGED}/connections/${connection?.connectionId}`
  const joins = (group: string, headers: ReturnType<typeof bearer>, status: number): HostileCase => ({
    name: group,
    path: `${path}/subscriptions`,
    headers,
    body: { join: [group] },
    status,
    ...(status === 403 ? { code: 'forbidden' } : {}),
  })
  const wide = bearer({ sub: 'user' })
  await world.hold(joins('staff', narrow, 403))
  await world.hold(joins('staff', wide, 403))
  await world.hold(joins('news', wide, 200))
  expect([...(connection?.groups ?? [])]).toEqual(['news'])
  const give = (claims: object) => ({
    name: 'token',
    path: `${path}/token`,
    headers: narrow,
    body: { token: forge({ claims: { sub: 'user', ...claims } }) },
    status: 200,
  })
  await world.hold(give({}))
  await world.hold(joins('staff', wide, 200))
  await world.hold(give({ groups: ['news'] }))
  await world.hold(joins('staff', wide, 403))
  expect([...(connection?.groups ?? [])]).toEqual(['news'])
  // An admin may put it anywhere.
  await world.hold(joins('staff', bearer({ sub: 'root', roles: ['admin'] }), 200))
})
