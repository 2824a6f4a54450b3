import { setTimeout as pause } from 'node:timers/promises'
import { RedisEventStore } from '@tributary/eventlog/redis'
import { systemClock } from '@tributary/protocol'
import { RedisConnections } from '@tributary/redis'
import { StreamServer } from '@tributary/sse'
import { type RedisServer, startRedis } from '@tributary/testkit'
import { describeWithRedisServers } from '@tributary/testkit/vitest'
import { expect, it, vi } from 'vitest'
import type { ConnectOptions } from '../src/connection.ts'
import { Hub } from '../src/hub.ts'
import { MemorySink } from './memory-sink.ts'

const LIMIT_MS = 30_000
const BACK_MS = 10_000

/** A hub whose sends may wait while Redis is away. */
async function node(redis: RedisServer) {
  const connections = await RedisConnections.open({ url: redis.url, timeoutMs: 1_000 })
  const outage = { maxEvents: 10_000, maxBytes: 1_000_000 }
  const store = new RedisEventStore({ connections, prefix: 'outage', outage })
  const streams = new StreamServer({ clock: systemClock })
  const hub = await Hub.open({ store, streams })
  return {
    hub,
    connections,
    store,
    async connect(options: ConnectOptions) {
      const sink = new MemorySink()
      const connection = await hub.connect(options, () => sink)
      return { sink, leave: () => connection.end('timeout') }
    },
    async [Symbol.asyncDispose]() {
      await hub[Symbol.asyncDispose]()
      await store.close()
      await connections[Symbol.asyncDispose]()
    },
  }
}

describeWithRedisServers('while Redis is away, a hub', () => {
  it('delivers to its own readers at once, and none of them gets an event twice, wherever it comes back', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis({ persistent: true })
    await using a = await node(redis)
    await using b = await node(redis)
    const groups = ['g']
    const stays = await a.connect({ groups })
    const moves = await a.connect({ groups })
    const elsewhere = await b.connect({ groups })
    const { id: before } = await a.hub.sendToGroup('g', 'e', 'before')
    await redis.kill()
    await vi.waitFor(() => expect(a.connections.status.state).toBe('down'), BACK_MS)
    for (const n of [1, 2, 3]) {
      const receipt = await a.hub.sendToGroup('g', 'e', n)
      expect(receipt).toEqual({ success: true, degraded: true, id: null, delivered: 2 })
    }
    expect([stays.sink.received, moves.sink.received]).toEqual(Array(2).fill(['before', 1, 2, 3]))
    a.hub.local.sendHealthCheck()
    const marked = moves.sink.lastEventId ?? ''
    expect(marked).toMatch(new RegExp(`^${before}~[\\w-]+\\.\\d+~[\\w-]+\\.\\d+$`))
    await expect(a.hub.probe()).rejects.toMatchObject({ code: 'store_unavailable' })
    await expect(a.connect({ groups, lastEventId: marked })).rejects.toMatchObject({
      code: 'store_unavailable',
    })
    moves.leave()
    await redis.restart()
    await vi.waitFor(() => expect(elsewhere.sink.received).toEqual(['before', 1, 2, 3]), BACK_MS)
    await vi.waitFor(() => expect(a.store.health).toEqual({ status: 'ok' }), BACK_MS)
    const moved = await b.connect({ groups, lastEventId: marked })
    const late = await b.connect({ groups, lastEventId: before ?? '' })
    const page = await b.hub.poll({ groups, lastEventId: marked })
    expect(page.events).toEqual([])
    expect(page.cursor).not.toContain('~')
    await b.hub.sendToGroup('g', 'e', 'after')
    await vi.waitFor(() => expect(stays.sink.received.at(-1)).toBe('after'), BACK_MS)
    expect(stays.sink.received).toEqual(['before', 1, 2, 3, 'after'])
    await vi.waitFor(() => expect(late.sink.received).toEqual([1, 2, 3, 'after']))
    await vi.waitFor(() => expect(moved.sink.received).toEqual(['after']))
    for (const { sink } of [stays, moved, late, elsewhere]) {
      expect(sink.lastEventId).toMatch(/^\d+-5$/)
      expect(sink.types).not.toContain('gap')
      expect(sink.types).not.toContain('disconnected')
    }
    await a.hub.probe()
  })

  it('misses nothing that is sent while its readers find their places in a Redis that has lost everything', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis()
    await using a = await node(redis)
    const readers = await Promise.all(Array.from({ length: 20 }, () => a.connect({ groups: ['g'] })))
    const sent: number[] = []
    const send = async () => {
      sent.push(sent.length)
      await a.hub.sendToGroup('g', 'e', sent.length - 1)
    }
    await send()
    await redis.kill()
    await vi.waitFor(() => expect(a.connections.status.state).toBe('down'), BACK_MS)
    await send()
    const restarted = redis.restart()
    // At the pace of a busy publisher, so that some is sent at each step of coming back.
    for (; a.store.health.status !== 'ok'; await pause(1)) await send()
    await restarted
    for (const { sink } of readers) {
      await vi.waitFor(() => expect(sink.received.at(-1)).toBe(sent.length - 1), BACK_MS)
      expect(sink.received).toEqual(sent)
      expect(sink.types.filter((type) => type === 'gap')).toHaveLength(1)
    }
  })

  it('gives each reader once what is asked for at two nodes under one key, wherever it comes back', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis({ persistent: true })
    await using a = await node(redis)
    await using b = await node(redis)
    const groups = ['g']
    const readers = await Promise.all([a, b, a, b].map((each) => each.connect({ groups })))
    const [, , fromA, fromB] = readers
    const send = ({ hub }: typeof a, key: string) => hub.sendToGroup('g', 'e', key, { once: { key } })
    const { id } = await send(a, 'before')
    const all = readers.map(({ sink }) => sink)
    await vi.waitFor(() => expect(all.map(({ received }) => received)).toEqual(Array(4).fill(['before'])))
    await redis.kill()
    for (const { connections } of [a, b])
      await vi.waitFor(() => expect(connections.status.state).toBe('down'), BACK_MS)
    expect(await send(b, 'before')).toEqual({ success: true, id, delivered: 0, replayed: true })
    const waits = { success: true, degraded: true, id: null }
    for (const [first, second, key] of [
      [a, b, 1],
      [b, a, 2],
      [a, b, 3],
    ] as const) {
      expect(await send(first, `${key}`)).toEqual({ ...waits, delivered: 2 })
      expect(await send(second, `${key}`)).toEqual({ ...waits, delivered: 2 })
      expect(await send(first, `${key}`)).toEqual({ ...waits, delivered: 0, replayed: true })
    }
    for (const each of [a, b]) each.hub.local.sendHealthCheck()
    for (const each of [fromA, fromB]) each?.leave()
    await redis.restart()
    for (const { store } of [a, b])
      await vi.waitFor(() => expect(store.health).toEqual({ status: 'ok' }), BACK_MS)
    const moved = await Promise.all([
      b.connect({ groups, lastEventId: fromA?.sink.lastEventId ?? '' }),
      a.connect({ groups, lastEventId: fromB?.sink.lastEventId ?? '' }),
    ])
    await send(a, 'after')
    const stayed = all.slice(0, 2)
    await vi.waitFor(() => {
      for (const { received } of stayed) expect(received.at(-1)).toBe('after')
      for (const { sink } of moved) expect(sink.received.at(-1)).toBe('after')
    }, BACK_MS)
    for (const { received } of stayed) expect(received).toEqual(['before', '1', '2', '3', 'after'])
    for (const { sink } of moved) expect(sink.received).toEqual(['after'])
    const late = await b.connect({ groups, lastEventId: id ?? '' })
    await vi.waitFor(() => expect(late.sink.received).toHaveLength(4))
    expect(late.sink.received.toSorted()).toEqual(['1', '2', '3', 'after'])
  })

  it('marks what it sends until its reader has passed all that it was sent before', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis({ persistent: true })
    await using a = await node(redis)
    const both = await a.connect({ groups: ['g', 'h'] })
    await redis.kill()
    await vi.waitFor(() => expect(a.connections.status.state).toBe('down'), BACK_MS)
    await a.hub.sendToGroup('g', 'e', 1)
    const joined = await a.hub.addToGroup('nobody', 'h')
    expect(joined).toBe(false)
    await a.hub.sendToGroup('h', 'e', 2)
    await redis.restart()
    await vi.waitFor(() => expect(a.store.health).toEqual({ status: 'ok' }), BACK_MS)
    await vi.waitFor(async () => expect((await a.hub.sendToGroup('g', 'e', 3)).delivered).toBe(1), BACK_MS)
    const received = both.sink.received.filter((data) => data !== 3)
    expect(received).toEqual([1, 2])
    expect(both.sink.lastEventId).not.toContain('~')
  })

  it('gives ephemeral events to its own readers, once for a key, and to nobody later', {
    timeout: LIMIT_MS,
  }, async () => {
    await using redis = await startRedis({ persistent: true })
    await using a = await node(redis)
    await using b = await node(redis)
    const [here, there] = [await a.connect({ groups: ['g'] }), await b.connect({ groups: ['g'] })]
    await redis.kill()
    await vi.waitFor(() => expect(a.connections.status.state).toBe('down'), BACK_MS)
    const send = (data: unknown, key?: string) =>
      a.hub.sendToGroup('g', 'e', data, {
        ephemeral: true,
        ...(key === undefined ? {} : { once: { key } }),
      })
    const receipt = { success: true, degraded: true, id: null, delivered: 1 }
    expect(await send('away')).toEqual(receipt)
    expect(await send('once', 'k')).toEqual(receipt)
    expect(await send('once', 'k')).toEqual({ ...receipt, delivered: 0, replayed: true })
    expect(here.sink.received).toEqual(['away', 'once'])
    await redis.restart()
    await vi.waitFor(() => expect(a.store.health).toEqual({ status: 'ok' }), BACK_MS)
    await vi.waitFor(async () => {
      await send('back')
      expect(new Set(there.sink.received)).toEqual(new Set(['back']))
    }, BACK_MS)
    expect(await send('once', 'k')).toMatchObject({ replayed: true })
    expect(new Set(here.sink.received)).toEqual(new Set(['away', 'once', 'back']))
  })
})
