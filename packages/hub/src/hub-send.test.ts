import { ProblemError } from '@tributary/protocol'
import { describe, expect, it } from 'vitest'
import { openHub, settle } from '../test/hub-under-test.ts'
import { MemorySink } from '../test/memory-sink.ts'

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
      expect(Object.entries(hub.local.status().emittersByUser)).toContainEqual([name, 1])
      expect(hub.local.countForUser(name)).toBe(1)
    },
  )

  it('reaches each of a long list of users', async () => {
    await using setting = await openHub()
    const users = Array.from({ length: 1_000 }, (_, n) => `user-${n}`)
    for (const userId of users) await setting.connect({ userId, metadata: { odd: userId.endsWith('1') } })
    await setting.connect({ userId: 'user-1001', metadata: { odd: true } })
    const sent = await setting.hub.publish({ users, where: { odd: true } }, 'e', 1)
    expect(sent.delivered).toBe(100)
  })

  it('filters by event types, and control frames come all the same', async () => {
    await using setting = await openHub({ streams: { heartbeatMs: 1_000 } })
    const { sink, connection } = await setting.connect({ events: ['price'] })
    await setting.hub.broadcast('chat', 1)
    await setting.hub.broadcast('price', 2)
    await setting.hub.broadcast('chat', 3, { ephemeral: true })
    setting.clock.advance(1_200)
    setting.hub.local.close(connection.connectionId)
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
    expect(setting.hub.stats()).toMatchObject({
      activeConnections: 2,
      totalConnections: 3,
      eventsDispatched: 1,
    })
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
    expect(await hub.addToGroup('c', 'g')).toBe(true)
    expect(await hub.addToGroup('c', 'g')).toBe(true)
    await hub.sendToGroup('g', 'e', 2)
    expect(hub.local.connectionsOfGroup('g')).toHaveLength(1)
    expect(await hub.removeFromGroup('c', 'g')).toBe(true)
    await hub.sendToGroup('g', 'e', 3)
    expect(sink.received).toEqual([2])
    expect(hub.local.status().emittersByGroup).toEqual({})
    expect(await hub.addToGroup('nobody', 'g')).toBe(false)
    expect(await hub.removeFromGroup('nobody', 'g')).toBe(false)
  })

  it('lets a leave take effect in the midst of a replay', async () => {
    await using setting = await openHub({ streams: { outboxMaxBytes: 200 } })
    const { hub } = setting
    for (let n = 1; n <= 20; n++) await hub.sendToGroup('g', 'e', n)
    const sink = new MemorySink()
    sink.pause()
    const connection = await hub.connect({ connectionId: 'c', groups: ['g'], lastEventId: '0' }, () => sink)
    await settle()
    const before = connection.view().eventsSent
    expect(before).toBeGreaterThan(0)
    expect(before).toBeLessThan(20)
    await hub.removeFromGroup('c', 'g')
    await hub.broadcast('e', 'after')
    sink.resume()
    await settle()
    // One frame was on its way already.
    expect(sink.received.length).toBeLessThanOrEqual(before + 2)
    expect(sink.received.at(-1)).toBe('after')
  })
})
