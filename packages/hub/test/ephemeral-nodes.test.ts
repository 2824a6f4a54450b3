import type { Audience } from '@tributary/protocol'
import { describeWithRedis } from '@tributary/testkit/vitest'
import { expect, it, vi } from 'vitest'
import type { ConnectOptions } from '../src/connection.ts'
import { openClusterHub } from './cluster-hub.ts'

const EPHEMERAL = { ephemeral: true } as const

describeWithRedis('ephemeral events among hubs that are nodes of a cluster', (redis) => {
  const openTwo = async () => {
    const prefix = redis.prefix()
    const a = await openClusterHub(redis.url, prefix, { nodeId: 'a' })
    const b = await openClusterHub(redis.url, prefix, { nodeId: 'b' })
    const both = (options: ConnectOptions) => Promise.all([a.connect(options), b.connect(options)])
    return {
      a,
      b,
      both,
      [Symbol.asyncDispose]: async () =>
        void (await Promise.all([a, b].map((n) => n[Symbol.asyncDispose]()))),
    }
  }

  it('reach the connections of all nodes that they are for, each once, in the order of their publisher', async () => {
    await using two = await openTwo()
    const [here, there] = await two.both({
      userId: 'ann',
      sessionId: 's',
      groups: ['g', 'h'],
      roles: ['ops'],
      metadata: { plan: 'pro' },
    })
    const [, bob] = await two.both({ userId: 'bob', groups: ['g'], metadata: { plan: 'free' } })
    const only = await two.b.connect({ connectionId: 'only', events: ['other'] })
    const audiences: [Audience, delivered: number, bobs: boolean][] = [
      [{ all: true, users: ['ann'], groups: ['g', 'h'], roles: ['ops'], sessions: ['s'] }, 2, true],
      [{ users: ['ann'] }, 1, false],
      [{ groups: ['g'] }, 2, true],
      [{ groups: ['g'], where: { plan: 'pro' } }, 1, false],
      [{ roles: ['ops'], connections: ['only'] }, 1, false],
      [{ only: { user: 'ann', session: 's' } }, 1, false],
      [{ users: ['bob', ...Array.from({ length: 50 }, (_, n) => `u${n}`)] }, 1, true],
      [{ users: ['nobody'] }, 0, false],
    ]
    const sent = audiences.map(([audience], n) => two.a.hub.publish(audience, 'e', n, EPHEMERAL))
    expect(await Promise.all(sent)).toEqual(
      audiences.map(([, delivered]) => ({ success: true, id: null, delivered })),
    )
    await two.a.hub.broadcast('e', 'end', EPHEMERAL)
    expect(here.sink.received).toEqual([0, 1, 2, 3, 4, 5, 'end'])
    await vi.waitFor(() => expect(there.sink.received).toEqual([0, 1, 2, 3, 4, 5, 'end']))
    await vi.waitFor(() => expect(bob.sink.received).toEqual([0, 2, 6, 'end']))
    expect(there.sink.events.every(({ type, id }) => type !== 'e' || id === undefined)).toBe(true)
    expect(only.sink.received).toEqual([])
    expect([two.a, two.b].map(({ hub }) => hub.stats().eventsPublished)).toEqual([9, 0])
    expect(two.b.hub.stats().eventsDispatched).toBe(two.a.hub.stats().eventsDispatched)
  })

  it('are what their publisher made of them, in each form', async () => {
    await using two = await openTwo()
    const [here, there] = await two.both({ form: { format: 'envelope', naming: 'standard' } })
    const metadata = { correlationId: 'c' }
    await two.a.hub.broadcast('e', { n: 1 }, { ...EPHEMERAL, priority: 'low', source: 'me', metadata })
    await vi.waitFor(() => expect(there.sink.received).toHaveLength(1))
    expect(there.sink.events.at(-1)).toEqual(here.sink.events.at(-1))
    expect(there.sink.received).toMatchObject([
      { id: null, data: { n: 1 }, priority: 'low', source: 'me', metadata },
    ])
  })

  it('spare a slow reader of another node by their priority and their key, as at their own', async () => {
    await using two = await openTwo()
    const [here, there] = await two.both({ groups: ['g'] })
    const calm = await two.b.connect({ groups: ['g'] })
    for (const { sink } of [here, there]) sink.pause()
    const filler = 'x'.repeat(100_000)
    for (const n of [1, 2, 3]) {
      await two.a.hub.sendToGroup('g', 'e', `low ${n} ${filler}`, { ...EPHEMERAL, priority: 'low' })
      await two.a.hub.sendToGroup('g', 'e', `key ${n}`, { ...EPHEMERAL, conflate: 'k' })
    }
    await vi.waitFor(() => expect(calm.sink.received).toHaveLength(6))
    for (const { sink } of [here, there]) sink.resume()
    const seen = (sink: typeof here.sink) => sink.received.map((data) => String(data).slice(0, 5))
    await vi.waitFor(() => expect(seen(here.sink).at(-1)).toBe('key 3'))
    await vi.waitFor(() => expect(seen(there.sink)).toEqual(seen(here.sink)))
    expect(there.connection.view().eventsDropped).toBe(here.connection.view().eventsDropped)
    expect(there.sink.closed).toBe(false)
  })

  it('go out once for a key, whichever node is asked again', async () => {
    await using two = await openTwo()
    const [here, there] = await two.both({})
    const send = (node: typeof two.a) => node.hub.broadcast('e', 1, { ...EPHEMERAL, once: { key: 'k' } })
    expect(await send(two.a)).toEqual({ success: true, id: null, delivered: 1 })
    expect(await send(two.b)).toEqual({ success: true, id: null, delivered: 0, replayed: true })
    await two.b.hub.broadcast('e', 'end', EPHEMERAL)
    await two.a.hub.broadcast('e', 'end', EPHEMERAL)
    for (const { sink } of [here, there]) {
      await vi.waitFor(() => expect(sink.received.toSorted()).toEqual([1, 'end', 'end']))
    }
  })
})
