import { MemoryEventStore } from '@tributary/eventlog/memory'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it, vi } from 'vitest'
import { openHub, settle } from '../test/hub-under-test.ts'
import { MemorySink } from '../test/memory-sink.ts'
import type { Connection } from './connection.ts'

describe('Hub, connecting', () => {
  it('greets at once with the cursor to resume from', async () => {
    await using setting = await openHub()
    const { connection, sink } = await setting.connect({ connectionId: 'mine', userId: 'ann' })
    const clientId = 'mine'
    expect(sink.events).toEqual([
      {
        id: `${setting.clock.now()}-0`,
        type: 'connection',
        data: { status: 'connected', emitterId: clientId, clientId, resumed: false },
      },
    ])
    expect(sink.retries).toEqual([3_000])
    expect(connection.view()).toMatchObject({ connectionId: 'mine', userId: 'ann', eventsSent: 0 })
  })

  it('refuses a second connection of the same id, and the first goes on', async () => {
    await using setting = await openHub()
    const { sink } = await setting.connect({ connectionId: 'c' })
    await expect(setting.connect({ connectionId: 'c' })).rejects.toMatchObject({ code: 'connection_exists' })
    await setting.hub.broadcast('news', 1)
    expect(sink.received).toEqual([1])
    expect(setting.hub.stats()).toMatchObject({ activeConnections: 1, totalConnections: 1 })
  })

  it('refuses a second of the same id while the first is still being opened', async () => {
    await using setting = await openHub()
    const first = setting.connect({ connectionId: 'c', lastEventId: '0' })
    await expect(setting.connect({ connectionId: 'c' })).rejects.toMatchObject({ code: 'connection_exists' })
    expect((await first).sink.types).toEqual(['connection'])
  })

  it('replaces the first connection of the same id where it is told to', async () => {
    await using setting = await openHub({ duplicateConnection: 'replace' })
    const onClose = vi.fn()
    const first = await setting.connect({ connectionId: 'c', onClose })
    const second = await setting.connect({ connectionId: 'c' })
    expect(setting.hub.local.getConnection('c')).toBe(second.connection)
    expect(first.sink.events.at(-1)).toMatchObject({
      type: 'disconnected',
      data: { reason: 'replaced', reconnect: false },
    })
    expect(first.sink.retries).toEqual([3_000, 86_400_000])
    await setting.hub.sendToConnection('c', 'news', 1)
    expect([first.sink.received, second.sink.received]).toEqual([[], [1]])
    await settle()
    expect(onClose).toHaveBeenCalledExactlyOnceWith(first.connection, 'replaced')
    expect(setting.hub.local.count()).toBe(1)
  })

  it('replaces one that is still being opened: of many at once the last stays', async () => {
    await using setting = await openHub({ duplicateConnection: 'replace' })
    const onClose = vi.fn()
    const opened = await Promise.all(
      Array.from({ length: 5 }, () => setting.connect({ connectionId: 'c', lastEventId: '0', onClose })),
    )
    const reasons = opened.map(({ sink }) => sink.events.find(({ type }) => type === 'disconnected')?.data)
    expect(reasons).toEqual([
      ...Array.from({ length: 4 }, () => ({ reason: 'replaced', reconnect: false })),
      undefined,
    ])
    const last = opened.at(-1)
    expect(setting.hub.local.getConnection('c')).toBe(last?.connection)
    expect(setting.hub.local.count()).toBe(1)
    expect(await setting.hub.broadcast('news', 1)).toMatchObject({ delivered: 1 })
    await settle()
    expect(onClose).toHaveBeenCalledTimes(4)
  })

  it('ends one that is closed while it is being opened', async () => {
    await using setting = await openHub()
    const onClose = vi.fn()
    const opening = setting.connect({ connectionId: 'c', lastEventId: '0', onClose })
    expect(setting.hub.local.close('c', 'enough')).toBe(true)
    expect(setting.hub.local.count()).toBe(0)
    const { sink, connection } = await opening
    expect(sink.types).toEqual(['connection', 'disconnected'])
    expect(sink.events.at(-1)?.data).toEqual({ reason: 'forced', reconnect: false, message: 'enough' })
    expect(sink.closed).toBe(true)
    await settle()
    expect(onClose).toHaveBeenCalledExactlyOnceWith(connection, 'forced')
  })

  it('leaves nothing where the sink cannot be made', async () => {
    await using setting = await openHub()
    const connecting = setting.hub.connect({ connectionId: 'c', userId: 'ann', groups: ['g'] }, () => {
      throw new Error('no socket')
    })
    await expect(connecting).rejects.toThrow('no socket')
    expect(setting.hub.local.status()).toMatchObject({ totalEmitters: 0, totalUsers: 0, totalGroups: 0 })
    expect(setting.hub.stats()).toMatchObject({ totalConnections: 0 })
    await expect(setting.connect({ connectionId: 'c' })).resolves.toBeDefined()
  })

  it('notices a reader that left before its stream stood', async () => {
    await using setting = await openHub()
    const sink = new MemorySink()
    sink.leave()
    const onClose = vi.fn()
    const connection = await setting.hub.connect({ userId: 'ann', onClose }, () => sink)
    expect(setting.hub.local.isConnected('ann')).toBe(false)
    await settle()
    expect(onClose).toHaveBeenCalledExactlyOnceWith(connection, 'gone')
  })

  it.each(['abc', '', '-1', '1-', 'run_1.5-3'])('refuses %j as a cursor', async (lastEventId) => {
    await using setting = await openHub()
    await expect(setting.connect({ lastEventId })).rejects.toMatchObject({ code: 'invalid_cursor' })
    expect(setting.hub.local.count()).toBe(0)
  })

  it.each([0, -1, Number.NaN])('refuses a timeout of %d', async (timeoutMs) => {
    await using setting = await openHub()
    await expect(setting.connect({ timeoutMs })).rejects.toMatchObject({ code: 'invalid_request' })
  })

  it('ends a stream at its time, at most the maximum', async () => {
    await using setting = await openHub({ timeoutMs: 1_000, maxTimeoutMs: 5_000 })
    const asDefault = await setting.connect()
    const short = await setting.connect({ timeoutMs: 300 })
    const long = await setting.connect({ timeoutMs: Number.POSITIVE_INFINITY })
    const ended = () => [asDefault, short, long].map(({ sink }) => sink.closed)
    setting.clock.advance(500)
    expect(ended()).toEqual([false, true, false])
    setting.clock.advance(1_000)
    expect(ended()).toEqual([true, true, false])
    setting.clock.advance(4_000)
    expect(ended()).toEqual([true, true, true])
    expect(short.sink.events.at(-1)?.data).toEqual({ reason: 'timeout', reconnect: true })
    expect(setting.hub.local.count()).toBe(0)
  })
})

describe('Hub, closing', () => {
  it('closes one by id, and tells its reader why', async () => {
    await using setting = await openHub()
    const { sink } = await setting.connect({ connectionId: 'c' })
    expect(setting.hub.local.close('c', 'enough')).toBe(true)
    expect(setting.hub.local.close('c')).toBe(false)
    expect(sink.events.at(-1)?.data).toEqual({ reason: 'forced', reconnect: false, message: 'enough' })
    expect(sink.retries.at(-1)).toBe(86_400_000)
    expect(setting.hub.local.getConnection('c')).toBeUndefined()
  })

  it('sends a heartbeat with each reader’s own position on request', async () => {
    await using setting = await openHub()
    const { hub } = setting
    const reader = await setting.connect({ userId: 'ann' })
    await setting.connect({ userId: 'bob' })
    await hub.sendToUser('bob', 'e', 1)
    expect(hub.local.sendHealthCheck()).toBe(2)
    expect(reader.sink.events.at(-1)).toMatchObject({
      type: 'heartbeat',
      id: expect.stringMatching(/-1$/),
      data: { timestamp: setting.clock.now() },
    })
  })

  it('counts connections, users and groups', async () => {
    await using setting = await openHub()
    const { hub } = setting
    await setting.connect({ userId: 'ann', groups: ['g', 'h'] })
    await setting.connect({ userId: 'ann', groups: ['g'] })
    await setting.connect()
    expect(hub.local.count()).toBe(3)
    expect(hub.local.countForUser('ann')).toBe(2)
    expect(hub.local.connectionsOfUser('ann')).toHaveLength(2)
    expect(hub.local.isConnected('bob')).toBe(false)
    expect(hub.local.status()).toEqual({
      totalEmitters: 3,
      totalUsers: 1,
      totalGroups: 2,
      emittersByUser: { ann: 2 },
      emittersByGroup: { g: 2, h: 1 },
      connectionStates: { connecting: 0, connected: 3, idle: 0, stale: 0, disconnecting: 0 },
    })
  })

  it('resets: nobody is connected, everything counts from zero, history stays', async () => {
    await using setting = await openHub()
    const { sink } = await setting.connect()
    const opening = setting.connect({ lastEventId: '0' })
    await setting.hub.broadcast('e', 1)
    setting.hub.reset()
    expect(setting.hub.stats()).toMatchObject({ activeConnections: 0, eventsDispatched: 0 })
    expect((await opening).sink.closed).toBe(true)
    expect(sink.closed).toBe(true)
    const again = await setting.connect({ lastEventId: '0' })
    await settle()
    expect(again.sink.received).toEqual([1])
  })

  it('leaves nothing when it is disposed: no timer, no listener, no entry', async () => {
    const clock = new FakeClock()
    const store = new MemoryEventStore({ clock })
    const log = await store.open('hub', { retention: () => ({ maxEvents: 10, maxAgeMs: 1_000 }) })
    const untail = vi.fn()
    log.tail = () => untail
    const setting = await openHub({ store, clock })
    const { hub, streams } = setting
    const storeTimers = 1
    expect(clock.timerCount).toBe(storeTimers)
    const opened: Connection[] = []
    for (let n = 0; n < 20; n++) {
      const { connection } = await setting.connect({ userId: `u${n % 5}`, groups: ['g'] })
      opened.push(connection)
    }
    const opening = setting.connect({ lastEventId: '0' })
    expect(clock.timerCount).toBe(storeTimers + 1)
    await hub[Symbol.asyncDispose]()
    expect((await opening).sink.events.at(-1)?.data).toEqual({ reason: 'drain', reconnect: true })
    expect(clock.timerCount).toBe(storeTimers)
    expect(streams.size).toBe(0)
    expect(hub.local.status()).toMatchObject({ totalEmitters: 0, totalUsers: 0, totalGroups: 0 })
    expect(opened.every(({ stream }) => stream?.stream.ended)).toBe(true)
    expect(untail).toHaveBeenCalledOnce()
    await expect(setting.connect()).rejects.toMatchObject({ code: 'draining', statusCode: 503 })
    await hub[Symbol.asyncDispose]()
    await store.close()
    expect(clock.timerCount).toBe(0)
  })
})
