import { MemoryEventStore } from '@tributary/eventlog/memory'
import { ProblemError } from '@tributary/protocol'
import { FakeClock } from '@tributary/testkit'
import { describe, expect, it, vi } from 'vitest'
import { openHub } from '../test/hub-under-test.ts'
import { MemorySink } from '../test/memory-sink.ts'
import type { Connection } from './connection.ts'

/** Lets what is due in this turn happen: callbacks, and replays from memory. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

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
    expect(setting.hub.getConnection('c')).toBe(second.connection)
    expect(first.sink.events.at(-1)).toMatchObject({
      type: 'disconnected',
      data: { reason: 'replaced', reconnect: false },
    })
    expect(first.sink.retries).toEqual([3_000, 86_400_000])
    await setting.hub.sendToConnection('c', 'news', 1)
    expect([first.sink.received, second.sink.received]).toEqual([[], [1]])
    await settle()
    expect(onClose).toHaveBeenCalledExactlyOnceWith(first.connection, 'replaced')
    expect(setting.hub.count()).toBe(1)
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
    expect(setting.hub.getConnection('c')).toBe(last?.connection)
    expect(setting.hub.count()).toBe(1)
    expect(await setting.hub.broadcast('news', 1)).toMatchObject({ delivered: 1 })
    await settle()
    expect(onClose).toHaveBeenCalledTimes(4)
  })

  it('ends one that is closed while it is being opened', async () => {
    await using setting = await openHub()
    const onClose = vi.fn()
    const opening = setting.connect({ connectionId: 'c', lastEventId: '0', onClose })
    expect(setting.hub.close('c', 'enough')).toBe(true)
    expect(setting.hub.count()).toBe(0)
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
    expect(setting.hub.status()).toMatchObject({ totalEmitters: 0, totalUsers: 0, totalGroups: 0 })
    expect(setting.hub.stats()).toMatchObject({ totalConnections: 0 })
    await expect(setting.connect({ connectionId: 'c' })).resolves.toBeDefined()
  })

  it('notices a reader that left before its stream stood', async () => {
    await using setting = await openHub()
    const sink = new MemorySink()
    sink.leave()
    const onClose = vi.fn()
    const connection = await setting.hub.connect({ userId: 'ann', onClose }, () => sink)
    expect(setting.hub.isConnected('ann')).toBe(false)
    await settle()
    expect(onClose).toHaveBeenCalledExactlyOnceWith(connection, 'gone')
  })

  it.each(['abc', '', '-1', '1-', 'run_1.5-3'])('refuses %j as a cursor', async (lastEventId) => {
    await using setting = await openHub()
    await expect(setting.connect({ lastEventId })).rejects.toMatchObject({ code: 'invalid_cursor' })
    expect(setting.hub.count()).toBe(0)
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
    expect(setting.hub.count()).toBe(0)
  })
})

describe('Hub, sending', () => {
  async function threeReaders() {
    const setting = await openHub()
    const ann = await setting.connect({
      connectionId: 'a1',
      userId: 'ann',
      sessionId: 's1',
      groups: ['chat', 'news'],
      roles: ['admin'],
      metadata: { plan: 'pro', seats: 3 },
    })
    const annToo = await setting.connect({ connectionId: 'a2', userId: 'ann', sessionId: 's2' })
    const bob = await setting.connect({
      connectionId: 'b1',
      userId: 'bob',
      sessionId: 's1',
      groups: ['chat'],
      metadata: { plan: 'pro' },
    })
    const sinks = [ann.sink, annToo.sink, bob.sink]
    const received = () => sinks.map((sink) => sink.received.length)
    return { ...setting, setting, received, sinks }
  }

  it('reaches whom each way of sending names', async () => {
    const { hub, received, setting } = await threeReaders()
    await using _ = setting
    const cases: [Promise<{ delivered: number }>, number[]][] = [
      [hub.sendToUser('ann', 'e', 1), [1, 1, 0]],
      [hub.sendToGroup('chat', 'e', 1), [2, 1, 1]],
      [hub.sendToSession('s1', 'e', 1), [3, 1, 2]],
      [hub.sendToConnection('a2', 'e', 1), [3, 2, 2]],
      [hub.sendFiltered({ plan: 'pro' }, 'e', 1), [4, 2, 3]],
      [hub.broadcast('e', 1), [5, 3, 4]],
      [hub.publish({ roles: ['admin'] }, 'e', 1), [6, 3, 4]],
      [hub.publish({}, 'e', 1), [6, 3, 4]],
    ]
    let before = [0, 0, 0]
    for (const [sent, expected] of cases) {
      const took = expected.reduce((sum, count, index) => sum + count - (before[index] ?? 0), 0)
      expect(await sent).toMatchObject({ delivered: took })
      before = expected
    }
    expect(received()).toEqual(before)
  })

  it('reaches a connection once, however many of its topics match', async () => {
    const { hub, received, setting } = await threeReaders()
    await using _ = setting
    const everyWay = {
      all: true,
      users: ['ann'],
      groups: ['chat', 'news'],
      roles: ['admin'],
      sessions: ['s1'],
      connections: ['a1'],
    } as const
    expect(await hub.publish(everyWay, 'e', 1)).toMatchObject({ delivered: 3 })
    expect(await hub.publish(everyWay, 'e', 2, { ephemeral: true })).toMatchObject({ delivered: 3 })
    expect(received()).toEqual([2, 2, 2])
  })

  it('narrows user, session and connections by each other', async () => {
    const { hub, received, setting } = await threeReaders()
    await using _ = setting
    await hub.publish({ only: { user: 'ann', session: 's1' } }, 'e', 1)
    expect(received()).toEqual([1, 0, 0])
    await hub.publish({ only: { user: 'bob', session: 's2' } }, 'e', 1)
    await hub.publish({ only: { user: 'ann', connections: ['b1'] } }, 'e', 1)
    await hub.publish({ only: {} }, 'e', 1)
    expect(received()).toEqual([1, 0, 0])
    await hub.publish({ only: { connections: ['a2', 'b1'] }, groups: ['news'] }, 'e', 1)
    expect(received()).toEqual([2, 1, 1])
  })

  it('narrows every audience by `where`, and never widens it', async () => {
    const { hub, received, setting } = await threeReaders()
    await using _ = setting
    await hub.sendToGroup('chat', 'e', 1, { where: { seats: 3 } })
    expect(received()).toEqual([1, 0, 0])
    await hub.publish({ all: true, where: { plan: 'pro' } }, 'e', 1, { where: { seats: 3 } })
    expect(received()).toEqual([2, 0, 0])
    await hub.sendFiltered({ plan: 'pro' }, 'e', 1, { where: { plan: 'free' } })
    expect(received()).toEqual([2, 0, 0])
    await hub.sendFiltered({ plan: 'pro' }, 'e', 1, { ephemeral: true, where: { plan: 'pro' } })
    expect(received()).toEqual([3, 0, 1])
  })

  it('compares `where` with what a connection itself has, by type', async () => {
    await using setting = await openHub()
    const { sink } = await setting.connect({ metadata: { seats: 3, gone: null } })
    const inherited = JSON.parse('{"__proto__":null}')
    for (const where of [{ seats: '3' }, { missing: null }, { constructor: 'Object' }, inherited]) {
      expect(await setting.hub.sendFiltered(where, 'e', 1)).toMatchObject({ delivered: 0 })
    }
    await setting.hub.sendFiltered({ seats: 3, gone: null }, 'e', 'took')
    expect(sink.received).toEqual(['took'])
  })

  it.each(['__proto__', 'constructor', 'a:b', 'user:x', 'a\nb', '🦊', 'é', ' '])(
    'reaches exactly who is called %j',
    async (name) => {
      await using setting = await openHub()
      const named = await setting.connect({
        connectionId: name,
        userId: name,
        sessionId: name,
        groups: [name],
        roles: [name],
        metadata: JSON.parse(`{${JSON.stringify(name)}: 1}`),
      })
      const other = await setting.connect({ userId: `${name}!`, groups: [`${name}!`] })
      const { hub } = setting
      await hub.sendToUser(name, 'e', 1)
      await hub.sendToGroup(name, 'e', 2)
      await hub.sendToSession(name, 'e', 3)
      await hub.sendToConnection(name, 'e', 4)
      await hub.publish({ roles: [name] }, 'e', 5)
      await hub.sendFiltered(JSON.parse(`{${JSON.stringify(name)}: 1}`), 'e', 6)
      expect(named.sink.received).toEqual([1, 2, 3, 4, 5, 6])
      expect(other.sink.received).toEqual([])
      expect(Object.entries(hub.status().emittersByUser)).toContainEqual([name, 1])
      expect(hub.countForUser(name)).toBe(1)
    },
  )

  it('reaches ten thousand named users without asking each about all', async () => {
    await using setting = await openHub()
    const users = Array.from({ length: 10_000 }, (_, n) => `user-${n}`)
    for (const userId of users) await setting.connect({ userId, metadata: { odd: userId.endsWith('1') } })
    const sent = await setting.hub.publish({ users, where: { odd: true } }, 'e', 1)
    expect(sent.delivered).toBe(1_000)
  })

  it('filters by event types, and control frames come all the same', async () => {
    await using setting = await openHub({ streams: { heartbeatMs: 1_000 } })
    const { sink, connection } = await setting.connect({ events: ['price'] })
    await setting.hub.broadcast('chat', 1)
    await setting.hub.broadcast('price', 2)
    await setting.hub.broadcast('chat', 3, { ephemeral: true })
    setting.clock.advance(1_200)
    setting.hub.close(connection.connectionId)
    expect(sink.types).toEqual(['connection', 'price', 'heartbeat', 'disconnected'])
    expect(sink.events[2]?.id).toMatch(/-2$/)
  })

  it('gives ephemeral events no id, and those who come later no such event', async () => {
    await using setting = await openHub()
    const { hub } = setting
    const payload = await setting.connect()
    const envelope = await setting.connect({ form: { format: 'envelope', naming: 'standard' } })
    expect(await hub.broadcast('tick', { n: 1 }, { ephemeral: true, priority: 'low' })).toEqual({
      success: true,
      id: null,
      delivered: 2,
    })
    expect(payload.sink.events.at(-1)).toEqual({ type: 'tick', data: { n: 1 } })
    expect(envelope.sink.events.at(-1)).toEqual({
      type: 'tick',
      data: {
        id: null,
        type: 'tick',
        data: { n: 1 },
        timestamp: setting.clock.now(),
        priority: 'low',
        source: 'gateway',
        version: '1',
      },
    })
    const later = await setting.connect({ lastEventId: '0' })
    await settle()
    expect(later.sink.types).toEqual(['connection'])
  })

  it('encodes an ephemeral event as each of its readers asked for it', async () => {
    await using setting = await openHub()
    const standard = await setting.connect()
    const emitter = await setting.connect({ form: { format: 'payload', naming: 'emitter' } })
    await setting.hub.broadcast('task_error', 1, { ephemeral: true })
    expect([standard.sink.types.at(-1), emitter.sink.types.at(-1)]).toEqual(['task_error', 'error'])
  })

  it('leaves an ephemeral event out of a replay that is under way, and does not end its reader', async () => {
    await using setting = await openHub({ streams: { outboxMaxBytes: 400 } })
    const { hub } = setting
    for (let n = 1; n <= 20; n++) await hub.broadcast('e', 'x'.repeat(100))
    const sink = new MemorySink()
    sink.pause()
    await hub.connect({ lastEventId: '0' }, () => sink)
    await settle()
    expect(await hub.broadcast('tick', 1, { ephemeral: true })).toMatchObject({ delivered: 0 })
    expect(sink.closed).toBe(false)
    sink.resume()
    await settle()
    expect(sink.received).toHaveLength(20)
  })

  it('says how many outboxes took an event: not those that filter it or are away', async () => {
    await using setting = await openHub()
    await setting.connect({ userId: 'ann' })
    await setting.connect({ userId: 'ann', events: ['other'] })
    const gone = await setting.connect({ userId: 'ann' })
    gone.sink.leave()
    expect(await setting.hub.sendToUser('ann', 'e', 1)).toMatchObject({ delivered: 1 })
    expect(await setting.hub.sendToUser('nobody', 'e', 1)).toMatchObject({ delivered: 0 })
    expect(setting.hub.stats()).toEqual({ activeConnections: 2, totalConnections: 3, eventsDispatched: 1 })
  })

  it('takes an event of exactly the bound, and refuses one byte more with a 413', async () => {
    await using setting = await openHub({ maxEventBytes: 12 })
    const { sink } = await setting.connect()
    await setting.hub.broadcast('e', 'x'.repeat(10))
    const refused = setting.hub.broadcast('e', 'x'.repeat(11))
    await expect(refused).rejects.toBeInstanceOf(ProblemError)
    await expect(refused).rejects.toMatchObject({ code: 'event_too_large', statusCode: 413 })
    await expect(setting.hub.broadcast('e', 1, { metadata: { a: 'bcdef' } })).rejects.toMatchObject({
      statusCode: 413,
    })
    // Bytes, not characters.
    await expect(setting.hub.broadcast('e', '🦊🦊🦊')).rejects.toMatchObject({ statusCode: 413 })
    expect(sink.received).toEqual(['x'.repeat(10)])
  })

  it.each(['', 'a\nb', 'a\rdata: forged', 'nul\0', 'x'.repeat(257)])(
    'refuses the name %j before anybody could stumble over it',
    async (type) => {
      await using setting = await openHub()
      const { sink } = await setting.connect()
      for (const ephemeral of [false, true]) {
        await expect(setting.hub.broadcast(type, 1, { ephemeral })).rejects.toMatchObject({ statusCode: 400 })
      }
      await setting.hub.broadcast('fine', 2)
      expect(sink.received).toEqual([2])
    },
  )

  it('refuses data that is not JSON', async () => {
    await using setting = await openHub()
    const circle: { self?: unknown } = {}
    circle.self = circle
    for (const data of [circle, 1n]) {
      await expect(setting.hub.broadcast('e', data)).rejects.toMatchObject({ code: 'invalid_request' })
    }
  })

  it('stores what was published, whatever becomes of the object', async () => {
    await using setting = await openHub()
    const data = { count: 1, at: new Date(0), left: undefined }
    const users = ['ann']
    const metadata = { correlationId: 'c' }
    await setting.hub.publish({ users }, 'e', data, { metadata })
    data.count = 2
    users[0] = 'bob'
    metadata.correlationId = 'd'
    const ann = await setting.connect({
      userId: 'ann',
      lastEventId: '0',
      form: { format: 'envelope', naming: 'standard' },
    })
    await settle()
    expect(ann.sink.received).toMatchObject([
      { data: { count: 1, at: '1970-01-01T00:00:00.000Z' }, metadata: { correlationId: 'c' } },
    ])
  })

  it('sends nothing as null', async () => {
    await using setting = await openHub()
    const { sink } = await setting.connect()
    await setting.hub.broadcast('e', undefined)
    await setting.hub.broadcast('e', undefined, { ephemeral: true })
    expect(sink.received).toEqual([null, null])
  })
})

describe('Hub, groups', () => {
  it('lets joins and leaves of the open stream take effect at once', async () => {
    await using setting = await openHub()
    const { hub } = setting
    const { sink } = await setting.connect({ connectionId: 'c' })
    await hub.sendToGroup('g', 'e', 1)
    expect(hub.addToGroup('c', 'g')).toBe(true)
    expect(hub.addToGroup('c', 'g')).toBe(true)
    await hub.sendToGroup('g', 'e', 2)
    expect(hub.connectionsOfGroup('g')).toHaveLength(1)
    expect(hub.removeFromGroup('c', 'g')).toBe(true)
    await hub.sendToGroup('g', 'e', 3)
    expect(sink.received).toEqual([2])
    expect(hub.status().emittersByGroup).toEqual({})
    expect(hub.addToGroup('nobody', 'g')).toBe(false)
    expect(hub.removeFromGroup('nobody', 'g')).toBe(false)
  })

  it('lets a leave take effect in the midst of a replay', async () => {
    await using setting = await openHub({ streams: { outboxMaxBytes: 200 } })
    const { hub } = setting
    for (let n = 1; n <= 20; n++) await hub.sendToGroup('g', 'e', n)
    const sink = new MemorySink()
    sink.pause()
    await hub.connect({ connectionId: 'c', groups: ['g'], lastEventId: '0' }, () => sink)
    await settle()
    const before = sink.received.length
    expect(before).toBeGreaterThan(0)
    expect(before).toBeLessThan(20)
    hub.removeFromGroup('c', 'g')
    await hub.broadcast('e', 'after')
    sink.resume()
    await settle()
    // One frame was on its way already.
    expect(sink.received.length).toBeLessThanOrEqual(before + 2)
    expect(sink.received.at(-1)).toBe('after')
  })
})

describe('Hub, resuming', () => {
  it('goes on exactly after the cursor, in order, then live', async () => {
    await using setting = await openHub()
    const { hub } = setting
    const first = await setting.connect({ userId: 'ann', groups: ['g'] })
    await hub.sendToUser('ann', 'e', 1)
    await hub.broadcast('e', 2)
    const cursor = first.sink.lastEventId ?? ''
    first.sink.leave()
    await hub.sendToUser('ann', 'e', 3)
    await hub.sendToUser('bob', 'e', 'for another')
    await hub.sendToGroup('g', 'e', 4)
    const again = await setting.connect({ userId: 'ann', groups: ['g'], lastEventId: cursor })
    await settle()
    await hub.broadcast('e', 5)
    expect(again.sink.events[0]).toMatchObject({ id: cursor, data: { resumed: true } })
    expect(again.sink.received).toEqual([3, 4, 5])
  })

  it('resumes from the greeting alone, where nothing had come yet', async () => {
    await using setting = await openHub()
    await setting.hub.broadcast('e', 'before')
    const first = await setting.connect()
    first.sink.leave()
    await setting.hub.broadcast('e', 'missed')
    const again = await setting.connect({ lastEventId: first.sink.lastEventId ?? '' })
    await settle()
    expect(again.sink.received).toEqual(['missed'])
  })

  it('says what is lost: `connection` without an id, then `gap`, then what is kept', async () => {
    await using setting = await openHub({ historyMaxEvents: 3 })
    const { hub } = setting
    const first = await setting.connect()
    for (let n = 1; n <= 5; n++) await hub.broadcast('e', n)
    const again = await setting.connect({ lastEventId: first.sink.events[0]?.id ?? '' })
    await settle()
    expect(again.sink.types).toEqual(['connection', 'gap', 'e', 'e', 'e'])
    expect(again.sink.events[0]).not.toHaveProperty('id')
    expect(again.sink.events[1]).toMatchObject({ data: { reason: 'expired' } })
    expect(again.sink.received).toEqual([3, 4, 5])
  })

  it('keeps what is for a user longer than the rest', async () => {
    await using setting = await openHub({ historyMaxAgeMs: 1_000, historyUserMaxAgeMs: 10_000 })
    const first = await setting.connect({ userId: 'ann' })
    const cursor = first.sink.lastEventId ?? ''
    first.sink.leave()
    await setting.hub.sendToUser('ann', 'e', 'for ann')
    await setting.hub.sendToGroup('g', 'e', 'for others')
    setting.clock.advance(5_000)
    await setting.store.trim()
    const again = await setting.connect({ userId: 'ann', lastEventId: cursor })
    await settle()
    expect(again.sink.types).toEqual(['connection', 'e'])
    setting.clock.advance(10_000)
    await setting.store.trim()
    const late = await setting.connect({ userId: 'ann', lastEventId: cursor })
    await settle()
    expect(late.sink.types).toEqual(['connection', 'gap'])
  })
})

describe('Hub, callbacks', () => {
  it('tells of a timeout and then of the close, once', async () => {
    await using setting = await openHub()
    const told: string[] = []
    const { connection } = await setting.connect({
      timeoutMs: 100,
      onTimeout: ({ connectionId }) => void told.push(`timeout ${connectionId}`),
      onClose: ({ connectionId }, end) => void told.push(`close ${connectionId} ${end}`),
    })
    setting.clock.advance(1_000)
    connection.end('forced')
    await settle()
    expect(told).toEqual([`timeout ${connection.connectionId}`, `close ${connection.connectionId} timeout`])
  })

  it('keeps one that throws or rejects from the others, and says so', async () => {
    const failed: [unknown, string][] = []
    await using setting = await openHub({
      onCallbackError: (error, { connectionId }) => void failed.push([error, connectionId]),
    })
    const onClose = vi.fn()
    const fault = new Error('of the caller')
    await setting.connect({
      connectionId: 'throws',
      onClose: () => {
        throw fault
      },
    })
    await setting.connect({ connectionId: 'rejects', onClose: () => Promise.reject(fault) })
    await setting.connect({ connectionId: 'fine', onClose })
    expect(setting.hub.closeAll()).toBe(3)
    expect(setting.hub.count()).toBe(0)
    await settle()
    expect(onClose).toHaveBeenCalledOnce()
    expect(failed).toEqual([
      [fault, 'throws'],
      [fault, 'rejects'],
    ])
  })

  it('warns where nobody asked to hear of a callback that throws', async () => {
    await using setting = await openHub()
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
    await setting.connect({
      onClose: () => {
        throw new Error('of the caller')
      },
    })
    setting.hub.closeAll()
    expect(await warned).toMatchObject({ name: 'HubCallbackWarning' })
  })

  it('hands an event to all before a callback may publish the next', async () => {
    await using setting = await openHub({ streams: { outboxMaxBytes: 10 } })
    const { hub } = setting
    const slow = await setting.connect({ onClose: () => void hub.broadcast('left', 'slow') })
    const others = [await setting.connect(), await setting.connect()]
    slow.sink.pause()
    await hub.broadcast('e', 1)
    await hub.broadcast('e', 2)
    await settle()
    expect(slow.sink.events.at(-1)?.data).toEqual({ reason: 'slow_consumer', reconnect: true })
    for (const { sink } of others) expect(sink.received).toEqual([1, 2, 'slow'])
  })

  it('tells of a log that cannot be read, and ends the stream to be resumed', async () => {
    await using setting = await openHub()
    await setting.hub.broadcast('e', 1)
    const fault = new Error('disk')
    const log = await setting.store.open('hub', { retention: () => ({ maxEvents: 1, maxAgeMs: 1 }) })
    log.read = () => Promise.reject(fault)
    const told: unknown[] = []
    const { sink } = await setting.connect({
      lastEventId: '0',
      onError: (error) => void told.push(error),
      onClose: (_connection, end) => void told.push(end),
    })
    await settle()
    expect(told).toEqual([fault, 'upstream_lost'])
    expect(sink.events.at(-1)?.data).toEqual({ reason: 'upstream_lost', reconnect: true })
    expect(setting.hub.count()).toBe(0)
  })
})

describe('Hub, a slow consumer', () => {
  it('is closed past its bound, can resume, and its neighbours notice nothing', async () => {
    await using setting = await openHub({ streams: { outboxMaxBytes: 300 } })
    const { hub } = setting
    const slow = await setting.connect()
    const neighbour = await setting.connect()
    slow.sink.pause()
    for (let n = 1; n <= 30; n++) await hub.broadcast('e', n)
    expect(slow.sink.events.at(-1)?.data).toEqual({ reason: 'slow_consumer', reconnect: true })
    expect(slow.sink.pendingBytes).toBeLessThan(500)
    expect(neighbour.sink.received).toHaveLength(30)
    const got = slow.sink.received.length
    const again = await setting.connect({ lastEventId: slow.sink.lastEventId ?? '' })
    await settle()
    expect([...slow.sink.received, ...again.sink.received]).toEqual(neighbour.sink.received)
    expect(got).toBeGreaterThan(0)
  })

  it('takes any one event that is allowed while nothing waits', async () => {
    await using setting = await openHub({ streams: { outboxMaxBytes: 10 } })
    const { sink } = await setting.connect()
    sink.pause()
    await setting.hub.broadcast('e', 'x'.repeat(1_000))
    expect(sink.received).toHaveLength(1)
    expect(sink.closed).toBe(false)
  })

  it('is closed by an ephemeral event too', async () => {
    await using setting = await openHub({ streams: { outboxMaxBytes: 100 } })
    const { sink } = await setting.connect()
    sink.pause()
    expect(await setting.hub.broadcast('e', 'x'.repeat(90), { ephemeral: true })).toMatchObject({
      delivered: 1,
    })
    expect(await setting.hub.broadcast('e', 1, { ephemeral: true })).toMatchObject({ delivered: 0 })
    expect(sink.events.at(-1)?.data).toMatchObject({ reason: 'slow_consumer' })
  })
})

describe('Hub, closing', () => {
  it('closes one by id, and tells its reader why', async () => {
    await using setting = await openHub()
    const { sink } = await setting.connect({ connectionId: 'c' })
    expect(setting.hub.close('c', 'enough')).toBe(true)
    expect(setting.hub.close('c')).toBe(false)
    expect(sink.events.at(-1)?.data).toEqual({ reason: 'forced', reconnect: false, message: 'enough' })
    expect(sink.retries.at(-1)).toBe(86_400_000)
    expect(setting.hub.getConnection('c')).toBeUndefined()
  })

  it('sends a heartbeat with each reader’s own position on request', async () => {
    await using setting = await openHub()
    const { hub } = setting
    const reader = await setting.connect({ userId: 'ann' })
    await setting.connect({ userId: 'bob' })
    await hub.sendToUser('bob', 'e', 1)
    expect(hub.sendHealthCheck()).toBe(2)
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
    expect(hub.count()).toBe(3)
    expect(hub.countForUser('ann')).toBe(2)
    expect(hub.connectionsOfUser('ann')).toHaveLength(2)
    expect(hub.isConnected('bob')).toBe(false)
    expect(hub.status()).toEqual({
      totalEmitters: 3,
      totalUsers: 1,
      totalGroups: 2,
      emittersByUser: { ann: 2 },
      emittersByGroup: { g: 2, h: 1 },
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
      const { connection } = await setting.connect({ userId: `u${n % 3}`, groups: ['g'] })
      opened.push(connection)
    }
    const opening = setting.connect({ lastEventId: '0' })
    expect(clock.timerCount).toBe(storeTimers + 1)
    await hub[Symbol.asyncDispose]()
    expect((await opening).sink.events.at(-1)?.data).toEqual({ reason: 'drain', reconnect: true })
    expect(clock.timerCount).toBe(storeTimers)
    expect(streams.size).toBe(0)
    expect(hub.status()).toMatchObject({ totalEmitters: 0, totalUsers: 0, totalGroups: 0 })
    expect(opened.every(({ stream }) => stream?.stream.ended)).toBe(true)
    expect(untail).toHaveBeenCalledOnce()
    await expect(setting.connect()).rejects.toMatchObject({ code: 'draining', statusCode: 503 })
    await hub[Symbol.asyncDispose]()
    await store.close()
    expect(clock.timerCount).toBe(0)
  })
})
