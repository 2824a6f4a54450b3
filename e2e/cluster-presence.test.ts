import { PresenceChange } from '@tributary/protocol'
import { EventCollector } from '@tributary/testkit'
import { describeWithRedis } from '@tributary/testkit/vitest'
import { Compile } from 'typebox/compile'
import { expect, it } from 'vitest'
import { type ServiceProcess, startGateway } from './processes.ts'
import { WEBHOOK_SECRET, WebhookReceiver } from './webhook-receiver.ts'

const MANAGED = '/api/sse/managed'
const LEASE_MS = 2_000
const TOLD = { timeout: 25_000 }
const changeCheck = Compile(PresenceChange)
const as = (user: string) => ({ headers: { authorization: `Bearer ${user}-token` } })

const changesIn = (reader: EventCollector) =>
  reader.events
    .filter(({ type }) => type.startsWith('presence_'))
    .map(({ type, data }) => `${type} ${changeCheck.Check(data) ? data.userId : '?'}`)
    .filter((change) => !change.endsWith('watcher'))

function signal({ pid }: ServiceProcess, name: 'SIGSTOP' | 'SIGCONT'): void {
  if (pid !== undefined) process.kill(pid, name)
}

describeWithRedis('gateways that are nodes of a cluster', (redis) => {
  const start = (prefix: string, env: Readonly<Record<string, string>> = {}) =>
    startGateway({
      env: {
        AUTH_STATIC_TOKENS: 'watcher-token=watcher;ann-token=ann;bob-token=bob;root-token=root:admin',
        REDIS_URL: redis.url,
        REDIS_PREFIX: prefix,
        NODE_LEASE_MS: String(LEASE_MS),
        PRESENCE_GRACE_MS: '0',
        MAX_CONNECTIONS_PER_USER: '2',
        ...env,
      },
    })
  const open = async (gateway: ServiceProcess, user: string, query = '') => {
    const reader = await EventCollector.open(`${gateway.url}${MANAGED}/connect/group/g?${query}`, as(user))
    await reader.waitFor('connection')
    return reader
  }
  const ask = async (gateway: ServiceProcess, path: string, user: string, init: RequestInit = {}) => {
    const headers = { ...as(user).headers, 'content-type': 'application/json' }
    const response = await fetch(`${gateway.url}${MANAGED}${path}`, { ...init, headers })
    return { status: response.status, body: await response.json() }
  }

  it('answer for each other, and keep a user to his limit together', async () => {
    const prefix = redis.prefix()
    await using a = await start(prefix)
    await using b = await start(prefix)
    await using one = await open(a, 'ann')
    await using _two = await open(b, 'ann')
    const third = await fetch(`${b.url}${MANAGED}/connect`, as('ann'))
    expect([third.status, await third.json()]).toMatchObject([429, { code: 'user_connection_limit' }])
    expect(await ask(b, '/status', 'root')).toMatchObject({
      body: { totalEmitters: 2, emittersByUser: { ann: 2 }, local: { totalEmitters: 1 } },
    })
    expect(await ask(b, '/connections', 'root')).toMatchObject({ body: { connections: { length: 2 } } })
    const { connectionId } = (await ask(a, '/status/user/ann', 'ann')).body.connections[0]
    for (const gateway of [a, b]) {
      expect(await ask(gateway, `/connections/${connectionId}`, 'ann')).toMatchObject({
        body: { userId: 'ann' },
      })
      expect(await ask(gateway, `/connections/${connectionId}`, 'bob')).toMatchObject({ status: 403 })
      const change = { method: 'POST', body: JSON.stringify({ join: [`of ${gateway.url}`] }) }
      const path = `/connections/${connectionId}/subscriptions`
      expect(await ask(gateway, path, 'ann', change)).toMatchObject({ status: 200 })
    }
    expect(await ask(b, '/presence/user/ann', 'ann')).toMatchObject({
      body: { online: true, connectionCount: 2, groups: { length: 3 } },
    })
    const closed = await ask(b, '/connections', 'root', { method: 'DELETE' })
    expect(closed.body).toMatchObject({ closed: 2, local: { closed: 1 } })
    await one.ended
  })

  it('tell of who was at one that is killed, each once, and by webhook too', async () => {
    const prefix = redis.prefix()
    await using receiver = await WebhookReceiver.start()
    const env = { WEBHOOK_URL: receiver.url, WEBHOOK_SECRET }
    await using a = await start(prefix, env)
    await using b = await start(prefix, env)
    await using watcher = await open(a, 'watcher', 'presence=true')
    await using _ann = await open(b, 'ann')
    await using _bob = await open(b, 'bob')
    await using _still = await open(a, 'bob')
    await expect
      .poll(() => changesIn(watcher).toSorted(), TOLD)
      .toEqual(['presence_join ann', 'presence_join bob'])
    await b.kill()
    await expect
      .poll(() => changesIn(watcher).toSorted(), TOLD)
      .toEqual(['presence_join ann', 'presence_join bob', 'presence_leave ann'])
    expect((await ask(a, '/status', 'root')).body).toMatchObject({ totalEmitters: 2 })
    await expect
      .poll(() => receiver.of('ann').toSorted(), TOLD)
      .toEqual(['connect', 'disconnect node_gone', 'join g', 'leave g'])
    expect(receiver.faults).toEqual([])
  })

  it('tell of who is at one that was frozen that he has left, and is there again', async () => {
    const prefix = redis.prefix()
    await using a = await start(prefix)
    await using b = await start(prefix)
    await using watcher = await open(a, 'watcher', 'presence=true')
    await using _ann = await open(b, 'ann')
    await expect.poll(() => changesIn(watcher), TOLD).toEqual(['presence_join ann'])
    signal(b, 'SIGSTOP')
    await expect.poll(() => changesIn(watcher), TOLD).toEqual(['presence_join ann', 'presence_leave ann'])
    signal(b, 'SIGCONT')
    await expect
      .poll(() => changesIn(watcher), TOLD)
      .toEqual(['presence_join ann', 'presence_leave ann', 'presence_join ann'])
    expect((await ask(a, '/presence/group/g', 'watcher')).body).toMatchObject({ userCount: 2 })
  })
})
